from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_chat import open_parser, read_json
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.openai import EMBEDDINGS
from tokenproxy.wire.usage import UsagePart

NAME = "openai.embeddings"


def vectors(**more: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"embedding": [0.5]}], "model": "e-1", **more}


def test_input_and_no_output() -> None:
    reading = read_json(vectors(usage={"prompt_tokens": 8, "total_tokens": 8}), NAME)
    assert reading.parts == (UsagePart(uncached_input_tokens=8, output_tokens=0),)
    assert (reading.completeness, reading.ended, reading.model) == ("final", True, "e-1")


def test_without_a_total_the_output_is_not_stated() -> None:
    reading = read_json(vectors(usage={"prompt_tokens": 8}), NAME)
    assert reading.parts == (UsagePart(uncached_input_tokens=8),)
    assert reading.completeness == "final"


def test_vectors_in_text() -> None:
    body = vectors(data=[{"embedding": "AAAA"}], usage={"prompt_tokens": 8, "total_tokens": 8})
    assert read_json(body, NAME).completeness == "final"


def test_no_usage() -> None:
    reading = read_json(vectors(), NAME)
    assert (reading.completeness, reading.notes) == ("none", (notes.USAGE_ABSENT,))


def test_requests() -> None:
    facts = EMBEDDINGS.read_request(b'{"model":"e-1","input":["a","b"]}')
    assert facts.model == "e-1"
    assert facts.prompt_digest is not None


def test_errors() -> None:
    assert read_json({"error": {"type": "x_error"}}, NAME, status=400).error == "x_error"


@given(body=garbage(), data=st.data())
def test_garbage_never_raises(body: bytes, data: st.DataObject) -> None:
    parser = open_parser(NAME, operation="embeddings")
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    assert parser.take_items() == []
