from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire import routes
from tokenproxy.wire.bodyreader import BodyReader, outlined, read_body, read_facts
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.usage import RequestFacts

ENCODED = pytest.mark.parametrize(("encoding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
SMALL = b'{"model":"m","messages":[]}'
LARGE = b'{"image":"' + bytes(range(35, 91)) * 20_000 + b'","model":"m"}'


def read(body: bytes, encoding: str, step: int = 1 << 30) -> bytes | None:
    reader = BodyReader(encoding)
    for at in range(0, len(body), step):
        reader.feed(body[at : at + step])
    return reader.take()


@ENCODED
@pytest.mark.parametrize("body", [b"", SMALL, b" " * 64 * 1024, LARGE, b"{", b"--x\r\n\r\n"])
def test_a_body_that_came_whole_is_read_as_in_pieces(
    encoding: str, encode: Callable[[bytes], bytes], body: bytes
) -> None:
    assert read_body(encode(body), encoding) == read(encode(body), encoding, 1000)
    assert read_body(body, encoding) == read(body, encoding, 1000)


@ENCODED
@pytest.mark.parametrize("step", [1, 10, 1 << 20])
def test_a_small_body_comes_out_whole(
    encoding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    assert read(encode(SMALL), encoding, step) == SMALL


@ENCODED
@pytest.mark.parametrize("step", [1000, 1 << 30])
def test_a_large_body_comes_out_reduced(
    encoding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    found = read(encode(LARGE), encoding, step)
    assert found is not None
    assert len(found) < 100
    assert json.loads(found)["model"] == "m"


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br"])
def test_of_a_body_that_was_cut_the_beginning_is_read(name: str) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(b'{"model":"m","words":["%s"]}' % os.urandom(200_000).hex().encode())
    found = read(encoded[:-3], encoding)
    assert found is not None
    assert json.loads(found)["model"] == "m"
    assert read(encoded[:3], encoding) is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "rot13", "gzip, rot13"])
def test_a_broken_or_unknown_encoding_is_none(encoding: str) -> None:
    reader = BodyReader(encoding)
    reader.feed(b"<html>no such thing</html>")
    reader.feed(SMALL)
    assert reader.take() is None


def test_no_body_is_empty() -> None:
    assert BodyReader("").take() == b""
    assert BodyReader("gzip").take() == b""


def test_what_was_taken_is_forgotten() -> None:
    reader = BodyReader()
    reader.feed(SMALL)
    assert reader.take() == SMALL
    assert reader.take() is None


def test_a_body_too_large_even_when_reduced_is_none() -> None:
    assert read(b"[" + b"null," * 2_000_000 + b"null]", "") is None


def test_a_body_too_large_for_its_end_is_none() -> None:
    start = b"[" + b"null," * 1_677_720 + b'"' + b"x" * 5
    assert len(start) < 8 << 20
    assert read(start + b'"]', "") is None


@pytest.mark.parametrize("name", ["none", "gzip", "zstd"])
def test_what_an_encoding_makes_of_a_body_is_read_up_to_the_limit(name: str) -> None:
    encoding, encode = ENCODERS[name]
    body = encode(LARGE)
    whole = json.loads(LARGE)
    for limit, told in ((len(LARGE), ["image", "model"]), (len(LARGE) - 9, ["image"]), (5, [])):
        reader = BodyReader(encoding, limit)
        reader.feed(body)
        found = json.loads(reader.take() or b"{}")
        assert list(found) == (list(whole) if name == "none" else told)


@ENCODED
@pytest.mark.parametrize("step", [65_536, 1 << 30])
def test_a_body_too_large_even_when_reduced_is_outlined(
    encoding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    words = b'{"role":"user","content":"some words, not too many"},' * 200_000
    body = b'{"model":"m","messages":[%s{}],"metadata":{"user_id":"u"},"tools":[1],"stream":true}'
    found = read(encode(body % words), encoding, step)
    assert found is not None
    assert len(found) < 1000
    told = json.loads(found)
    (digest,) = told.pop("messages")
    assert told == {"model": "m", "metadata": {"user_id": "u"}, "tools": [1], "stream": True}
    other = read(encode(body % words.replace(b"words", b"sword")), encoding, step)
    assert read(encode(body % words), encoding, step // 3) == found
    assert digest not in (other or b"").decode()


def test_a_gigabyte_is_read_to_its_end() -> None:
    reader = BodyReader()
    reader.feed(b'{"messages":[{"content":"')
    block = b"A" * (8 << 20)
    for _ in range(128):
        reader.feed(block)
    reader.feed(b'"}],"model":"m"}')
    assert json.loads(reader.take() or b"")["model"] == "m"


CODE_ASSIST = b'{"model":"m","user_prompt_id":"t","request":{"session_id":"s","contents":['


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("anthropic.messages", b'{"model":"m","stream":true,"messages":[{"ro', {"stream": True}),
        ("openai.chat", b'{"stream":true,"model":"m","messages":[{"role', {"stream": True}),
        ("openai.responses", b'{"model":"m","max_output_tokens":9,"input":"hel', {"max_tokens": 9}),
        ("google.generate_content", CODE_ASSIST, {"turn_id": "t", "session_id": "s"}),
        ("bedrock.converse", b'{"inferenceConfig":{"maxTokens":9},"messages":[', {"max_tokens": 9}),
    ],
)  # fmt: skip
def test_a_request_that_was_cut_says_what_it_has_said(
    name: str, body: bytes, told: dict[str, object]
) -> None:
    dialect = routes.dialect(name)
    for encoding, encoded in (("", body), ("gzip", gzip.compress(body))):
        facts = read_facts(dialect, encoded, encoding)
        assert not facts.malformed
        assert facts.model == (None if name.startswith("bedrock") else "m")
        assert {key: getattr(facts, key) for key in told} == told
        assert facts.prompt_digest is None
    assert read_facts(dialect, b"<html>").malformed
    assert read_facts(dialect, None) == RequestFacts()


CUT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hel'


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (CUT, {"model": "m", "stream": True}),
        (b'{"model":"m",}', {"model": "m"}),
        (CUT.replace(b"hel", b"x" * 5000), {"model": "m", "stream": True}),
        (b'{"model":"m","messages":[}', {"model": "m"}),
        (b"{}", None),
        (b"<html>", None),
        (b"", None),
        (b"[1", None),
    ],
)
def test_what_cannot_be_read_is_outlined(document: bytes, told: object) -> None:
    assert json.loads(outlined(document) or b"null") == told


@pytest.mark.parametrize("name", ["none", "gzip", "deflate", "raw deflate", "br", "zstd"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"image":"' + b"A" * 50_000_000 + b'","model":"m"}',
        b'{"e":[' + b"0.125," * 8_000_000 + b'0],"model":"m"}',
        b'{"m":[' + b'{"text":"some words, not too many"},' * 1_400_000 + b'0],"model":"m"}',
    ],
    ids=["one string", "numbers", "short strings"],
)
def test_50_mb_take_little_memory(name: str, body: bytes) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    reader = BodyReader(encoding)
    tracemalloc.start()
    try:
        for at in range(0, len(encoded), 65_536):
            reader.feed(encoded[at : at + 65_536])
        document = reader.take()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
    assert json.loads(document or b"")["model"] == "m"


@given(
    body=st.one_of(st.binary(max_size=200), st.sampled_from([SMALL, LARGE, b'["' + LARGE])),
    name=st.sampled_from(list(ENCODERS)),
    data=st.data(),
)
def test_any_chunking_of_any_encoding_gives_the_same_body(
    body: bytes, name: str, data: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    kept = JsonBody()
    kept.feed(body)
    reader = BodyReader(encoding)
    for chunk in chunked(encoded, data.draw(cuts(len(encoded)))):
        reader.feed(chunk)
    assert reader.take() == kept.take()


@given(body=st.binary(max_size=300), encoding=st.sampled_from([e for e, _ in ENCODERS.values()]))
def test_garbage_never_raises(body: bytes, encoding: str) -> None:
    reader = BodyReader(encoding)
    reader.feed(body)
    reader.feed(body)
    reader.take()
    reader.feed(body)
    assert reader.take() is None
