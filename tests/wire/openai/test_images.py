"""Images: what a large body and a stream bill."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_images import MODEL, PICTURE, answer, form, usage
from tests.wire.fixtures.openai_responses import SSE, event
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.openai.images import IMAGES
from tokenproxy.wire.usage import Reading, RequestFacts

STREAMED = SSE["content-type"]


def open_parser(content_type: str = "application/json", status: int = 200) -> ResponseParser:
    return IMAGES.open_response(Head(status=status, content_type=content_type))


def read(sent: bytes, content_type: str = "application/json", status: int = 200) -> Reading:
    parser = open_parser(content_type, status)
    parser.feed(sent)
    parser.close()
    parser.close()
    return parser.reading


def completed(used: Any, kind: str = "image_generation") -> bytes:
    return event(f"{kind}.completed", b64_json="AAAA", usage=used)


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_a_streams_usage_comes_with_its_picture(kind: str) -> None:
    parser = open_parser(STREAMED)
    assert parser.feed(event(f"{kind}.partial_image", b64_json="AAAA")) is False
    assert (parser.reading.content_started, parser.reading.ended) == (True, False)
    assert parser.feed(completed(usage(20, 0, 1056), kind)) is True
    parser.close()
    assert (parser.reading.completeness, parser.reading.ended) == ("final", True)
    assert parser.reading.parts[0].modality_tokens == {"output_image": 1056}
    assert parser.take_items() == []


def test_pictures_in_the_making_are_passed_over_unread() -> None:
    broken = b"event: image_generation.partial_image\ndata: {no json\n\n"
    assert read(broken + completed(usage(1, 0, 2)), STREAMED).notes == ()


def test_each_picture_of_a_stream_is_billed() -> None:
    reading = read(completed(usage(20, 0, 100)) + completed(usage(20, 0, 200)), STREAMED)
    assert [part.output_tokens for part in reading.parts] == [100, 200]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (completed(None), (notes.USAGE_ABSENT,)),
        (b"event: image_generation.completed\ndata: {oops\n\n",
         (notes.EVENT_UNREADABLE, notes.USAGE_ABSENT)),
    ],
)  # fmt: skip
def test_an_end_without_usage_says_so(sent: bytes, said: tuple[str, ...]) -> None:
    reading = read(sent, STREAMED)
    assert (reading.ended, reading.completeness, reading.notes) == (True, "none", said)


def test_errors() -> None:
    error = {"type": "image_generation_user_error", "code": "moderation_blocked"}
    streamed = read(event("error", error=error), STREAMED)
    assert (streamed.error, streamed.ended) == ("image_generation_user_error", False)
    nameless = read(b"data: " + json.dumps({"error": error}).encode() + b"\n\n", STREAMED)
    assert (nameless.error, nameless.ended) == (streamed.error, False)
    whole = read(json.dumps({"error": error}).encode())
    assert (whole.error, whole.ended, whole.completeness) == (
        "image_generation_user_error", True, "none",
    )  # fmt: skip
    assert read(json.dumps({"error": error}).encode(), status=400).error == whole.error


def test_numbers_that_do_not_balance_are_a_lower_bound() -> None:
    reading = read(answer({**usage(20, 0, 100), "total_tokens": 7}))
    assert (reading.completeness, reading.notes) == ("partial", (notes.TOTAL_MISMATCH,))


@pytest.mark.parametrize(("sent", "said"), [(b"", ()), (b"no", (notes.BODY_UNREADABLE,))])
def test_what_is_no_answer(sent: bytes, said: tuple[str, ...]) -> None:
    assert (read(sent).ended, read(sent).notes) == (False, said)


def test_a_large_body_is_read_in_little_memory() -> None:
    """Forty pictures of a megabyte each, as large as the API sends them."""
    head = b'{"created":1,"data":['
    picture = b'{"b64_json":"' + b"A" * 1_000_000 + b'"}'
    tail = b'],"usage":' + json.dumps(usage(20, 0, 1056)).encode() + b"}"
    parser = open_parser()
    tracemalloc.start()
    parser.feed(head + picture)
    for _ in range(39):
        parser.feed(b"," + picture)
    parser.feed(tail)
    parser.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parser.reading.parts[0].output_tokens == 1056
    assert peak < 20_000_000


def test_requests_are_json_or_forms() -> None:
    facts = IMAGES.read_request(json.dumps({"model": MODEL, "prompt": "A cat."}).encode())
    assert facts == RequestFacts(model=MODEL, prompt_digest=facts.prompt_digest)
    assert facts.prompt_digest is not None
    sent = form(("prompt", PICTURE), ("model", MODEL), ("stream", "true"))
    assert IMAGES.read_request(sent) == RequestFacts(model=MODEL, stream=True)
    assert IMAGES.read_request(b"no").malformed is True


@given(
    sent=garbage(), before=st.sampled_from([b"", completed(usage(1, 2, 3)), answer(None)]),
    content_type=st.sampled_from(["", STREAMED, "application/json"]),
    status=st.sampled_from([200, 400, 503]), draw=st.data(),
)  # fmt: skip
def test_garbage_never_raises_in_any_chunks(
    *, sent: bytes, before: bytes, content_type: str, status: int, draw: st.DataObject
) -> None:
    sent = before + sent
    parser = open_parser(content_type, status)
    for chunk in chunked(sent, draw.draw(cuts(len(sent)))):
        parser.feed(chunk)
    parser.close()
    assert parser.reading == read(sent, content_type, status)
    stored = msgspec.json.encode(parser.reading)
    assert msgspec.json.decode(stored, type=Reading) == parser.reading
    IMAGES.read_request(sent)
