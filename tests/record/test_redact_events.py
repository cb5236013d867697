"""A credential that a model writes in several events is found in what they say together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts
from tokenproxy.record.redact import Redactor

KEY = "sk-ant-api03-AbCdEfGhIjKlMn"
OWN = "a secret of no known shape"
SAID = f"it is {KEY}, or {OWN}, or password: hunter2-hunter2 äöü"
CLEAN = "it is [redacted], or [redacted], or password: [redacted] äöü"

clean = Redactor({"x-api-key": OWN}).clean


def anthropic(text: str, index: int = 0) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def arguments(text: str, index: int = 0) -> dict[str, Any]:
    call = {"index": index, "function": {"arguments": text}}
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def gemini(text: str, index: int = 0) -> dict[str, Any]:
    return {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}}]}


def probable(text: str, index: int = 0) -> dict[str, Any]:
    token = {"token": text, "bytes": list(text.encode())}
    return {"choices": [{"index": index, "logprobs": {"content": [token]}}]}


WIRES = {"anthropic": anthropic, "arguments": arguments, "gemini": gemini, "probable": probable}


def sse(events: Iterable[Any]) -> bytes:
    return b"".join(b"event: x\ndata: %s\n\n" % json.dumps(event).encode() for event in events)


def lines(events: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\r\n" for event in events)


def array(events: Iterable[Any]) -> bytes:
    return b"[" + b",\r\n".join(json.dumps(event, indent=2).encode() for event in events)


def read(body: bytes) -> list[Any]:
    if body.startswith(b"["):
        found: list[Any] = json.loads(body + b"]")
        return found
    return [
        json.loads(line.removeprefix(b"data: "))
        for line in body.splitlines()
        if line[:1] in {b"d", b"{"}
    ]


def words(value: Any) -> str:
    """All texts of an event."""
    if isinstance(value, dict):
        return "".join(words(value[key]) for key in value if key not in {"type", "id"})
    if isinstance(value, list):
        return "".join(map(words, value))
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("framing", [sse, lines, array])
@given(data=st.data())
def test_however_it_is_cut_it_is_found(wire: str, framing: Any, data: st.DataObject) -> None:
    places = data.draw(cuts(len(SAID.encode())))
    pieces = [part.decode("latin-1") for part in chunked(SAID.encode("utf-8"), places)]
    said = "".join(pieces).encode("latin-1").decode()
    assert said == SAID
    body = framing([WIRES[wire](piece) for piece in pieces])
    events = read(clean(body))
    assert len(events) == len(pieces)
    left = "".join(map(words, events))
    assert left.encode("latin-1").decode() == CLEAN
    assert ord("-") not in set(_numbers(events)), "as numbers"


def test_one_answer_with_its_probabilities() -> None:
    token = {"token": KEY, "bytes": list(KEY.encode()), "top_logprobs": [{"token": KEY[:5]}]}
    body = json.dumps({"choices": [{"logprobs": {"content": [token]}}]}, indent=2).encode()
    (choice,) = json.loads(clean(body))["choices"]
    empty = {"token": "[redacted]", "bytes": [], "top_logprobs": []}
    assert choice["logprobs"]["content"] == [empty]


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, int) else []


def test_blocks_that_take_turns_are_texts_of_their_own() -> None:
    half = len(KEY) // 2
    events = [
        anthropic(KEY[:half]),
        anthropic("hello", 1),
        anthropic(KEY[half:]),
        anthropic("!", 1),
    ]
    found = read(clean(sse(events)))
    assert [event["delta"]["text"] for event in found] == ["[redacted]", "hello", "", "!"]


def test_events_that_have_none_stay_byte_for_byte() -> None:
    odd = b'data: {"a" :  "x", "n": 1.50, "u": "\\u00e4"}\n\n: note\n\ndata: [DONE]\n\n'
    body = odd + sse([anthropic("sk-ant-api03-A"), anthropic("bCdEfGhIjKlMnOpQ")]) + odd
    found = clean(body)
    assert found.startswith(odd)
    assert found.endswith(odd)
    assert b"[redacted]" in found
    assert clean(odd * 3) == odd * 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b"[1, 2]",
        b'[{"a": "b"}',
        b"data: {broken\n\ndata: {}\n\n",
        b"[" * 5000,
        b'data: {"a":' * 5000,
        b"\n".join([b"[" * 3000 + b"]" * 3000] * 2),
        'data: {"a": "\ud800"}\n'.encode("utf-8", "surrogatepass") * 2,
        b'data: {"a": "\\ud800"}\n' * 2,
    ],
)
def test_whatever_it_is_it_stays(body: bytes) -> None:
    assert clean(body) == body


@given(st.binary())
def test_garbage_never_raises(body: bytes) -> None:
    clean(body)
    clean(b"[" + body)
    clean(b"data: " + body + b"\n\ndata: {}")
