"""Nothing that is kept of an answer grows with what a provider sends, however much it sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.routes import dialect
from tokenproxy.wire.usage import Reading

MANY = 5000
MOST = 128 * 1024
"""Bytes of a reading as JSON: far more than any real one has."""

CHAT = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
KEYS = {f"k{at}": 1 for at in range(MANY)}


def read(name: str, body: object, *, operation: str = "chat") -> Reading:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    parser = dialect(name).open_response(Head(status=200, operation=operation))
    parser.feed(sent)
    parser.close()
    return parser.reading


def events(make: Callable[[int], dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + json.dumps(make(at)).encode() + b"\n\n" for at in range(MANY))


def anthropic(**usage: Any) -> dict[str, Any]:
    return {"type": "message", "usage": {"input_tokens": 5, "output_tokens": 6, **usage}}


def completion(**usage: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [], "usage": {**CHAT, **usage}}


CROWDS: dict[str, tuple[str, object]] = {
    "anthropic-iterations": ("anthropic.messages", anthropic(iterations=[
        {"type": "message", "model": f"m{at}", "input_tokens": 1, "output_tokens": 0}
        for at in range(MANY)])),
    "anthropic-tools": ("anthropic.messages", anthropic(server_tool_use=KEYS)),
    "anthropic-keys": ("anthropic.messages", events(lambda at: {
        "type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 5, "output_tokens": 6, f"k{at}": 1}})),
    "anthropic-errors": ("anthropic.messages", events(lambda at: {
        "type": "error", "error": {"type": "a", "details": {"error_code": f"c{at}"}}})),
    "chat-keys": ("openai.chat", events(lambda at: completion(**{f"k{at}": 1}))),
    "chat-errors": ("openai.chat", events(lambda at: {"error": {"type": "a", "code": f"c{at}"}})),
    "openrouter-tools": ("openrouter.chat", completion(server_tool_use_details=KEYS)),
    "mistral-connectors": ("mistral.chat", completion(connectors=KEYS)),
    "responses-errors": ("openai.responses", events(lambda at: {
        "type": "error", "error": {"type": "a", "code": f"c{at}"}})),
    "images": ("openai.images", events(lambda _: {
        "type": "image_generation.completed", "usage": {"input_tokens": 5, "output_tokens": 6}})),
    "transcripts": ("openai.audio", events(lambda _: {
        "type": "transcript.text.done", "usage": {"input_tokens": 5, "output_tokens": 6}})),
    "google-tools": ("google.interactions", events(lambda at: {
        "event_type": "step.stop",
        "usage": {"total_input_tokens": 5, "total_output_tokens": 6,
                  "grounding_tool_count": [{"type": f"t{at}", "count": 1}]}})),
}  # fmt: skip


@pytest.mark.parametrize(("name", "body"), CROWDS.values(), ids=list(CROWDS))
def test_a_reading_is_bounded(name: str, body: object) -> None:
    reading = read(name, body)
    assert len(msgspec.json.encode(reading)) <= MOST
    if reading.parts:
        assert reading.parts[-1].uncached_input_tokens in (1, 5)


def test_attempts_beyond_what_is_read_are_noted() -> None:
    name, body = CROWDS["anthropic-iterations"]
    assert notes.ITERATIONS_DROPPED in read(name, body).notes


def test_more_images_than_are_billed_are_a_lower_bound() -> None:
    name, body = CROWDS["images"]
    assert read(name, body).completeness == "partial"


def test_a_transcript_that_is_done_again_is_no_second_one() -> None:
    name, body = CROWDS["transcripts"]
    reading = read(name, body)
    assert (len(reading.parts), len(reading.usage)) == (1, 1)
    assert reading.parts[0].output_tokens == 6


def test_known_counts_of_a_crowded_usage_still_change() -> None:
    crowded = b"data: " + json.dumps(completion(**KEYS)).encode() + b"\n\n"
    later = b"data: " + json.dumps(completion(completion_tokens=9, total_tokens=14)).encode()
    assert read("openai.chat", crowded + later).parts[0].output_tokens == 9
    whole = {"type": "message_start", "message": {"usage": {**KEYS, "input_tokens": 5}}}
    last = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "new": 1}}
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (whole, last))
    assert read("anthropic.messages", body).parts[0].output_tokens == 9
