"""Inputs to begin with: what providers send, and what fuzzing has found to lead further.

``corpus/{target}.txt`` has an input a line, base64, so that a new one is a line in a diff.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.fuzz.targets import CHOICES, CONTENT_TYPES, OPERATIONS, STATUSES
from tests.wire.cases import Case, all_cases

KEPT: Final = Path(__file__).with_name("corpus")
LONGEST: Final = 512
"""Bytes of an input that is kept."""
MOST: Final = 40
"""Inputs that are kept of a target; the shortest."""

_SEEDS: Final = {
    "lane.request": [b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"],
    "lane.response": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "lane.chunked": [bytes(CHOICES) + b"3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n"],
    "framing.websocket": [
        bytes(CHOICES) + b"\x01\x02{}\x89\x81abcdp\x80\x7e\x00\x01a\x88\x02\x03\xe8",
        b"\x01".ljust(CHOICES, b"\0") + b"\xc1\x07\xabV*\xa9,H\x05",
    ],
    "framing.permessage": [b"permessage-deflate; client_no_context_takeover; x=1, y"],
    "lane.connect": [b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
    "ledger": [b'{"timestamp":"t","provider":"p","model":"m","cost_usd":.5}\n{"a":1}\n\n{"b":'],
    "journal": [b'{"t":"closed","ids":["a"]}\n{"t":"told","ids":["a"]}\n'],
    "prices": [b'[[prices]]\nmodel = "a"\ninput_mtok = 1\noutput_mtok = 2\nfrom = 2025-01-01\n'],
    "options": [b"--story\0a\0--iteration=1\0--\0true"],
    "attribution": [b"user-agent:claude-cli/1.0\ntraceparent:00-" + b"a" * 32 + b"-" + b"b" * 16],
}


def _lines(*messages: object) -> bytes:
    """Messages of a WebSocket; those of the client are in a list of their own."""
    return b"\n".join(
        b">" + json.dumps(one[0]).encode() if isinstance(one, list) else json.dumps(one).encode()
        for one in messages
    )


_RESPONSES: Final = _lines(
    [{"type": "response.create", "model": "gpt-6-sol", "input": "Hello?"}],
    {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
    {"type": "response.output_text.delta", "item_id": "m", "delta": "Good "},
    {
        "type": "response.completed",
        "response": {
            "id": "r", "model": "gpt-6-sol", "status": "completed",
            "usage": {
                "input_tokens": 5, "output_tokens": 6, "total_tokens": 11,
                "input_tokens_details": {"cached_tokens": 2},
            },
        },
    },
    [{"type": "response.create", "model": "gpt-6-sol", "stream_id": "a"}],
    {"type": "error", "status": 429, "stream_id": "a", "error": {"type": "x", "code": "y"}},
)  # fmt: skip
_SPOKEN: Final = _lines(
    {"type": "session.created", "session": {"model": "gpt-realtime-2"}},
    [{"type": "session.update", "session": {"input_audio_transcription": {"model": "w"}}}],
    [{"type": "response.create"}],
    {"type": "response.created", "response": {"id": "r"}},
    {
        "type": "response.done",
        "response": {"id": "r", "status": "completed", "usage": {"input_tokens": 5,
                     "output_tokens": 6, "total_tokens": 11}},
    },
    {
        "type": "conversation.item.input_audio_transcription.completed", "item_id": "i",
        "usage": {"type": "duration", "seconds": 3},
    },
)  # fmt: skip
_LIVE: Final = _lines(
    [{"setup": {"model": "models/gemini-3.8-live"}}],
    {"setupComplete": {}},
    [{"clientContent": {"turns": [{"role": "user"}], "turnComplete": True}}],
    {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "AAAA"}}]}}},
    {
        "usageMetadata": {"promptTokenCount": 5, "responseTokenCount": 6, "totalTokenCount": 11},
        "serverContent": {"turnComplete": True},
    },
)  # fmt: skip


def seeds(target: str) -> Iterator[bytes]:
    """Inputs made from the cases of every provider."""
    yield from _SEEDS.get(target, [])
    kind, _, name = target.partition(".")
    if kind == "socket":
        yield {"google.live": _LIVE, "openai.realtime": _SPOKEN}.get(name, _RESPONSES)
    for case in all_cases():
        if kind == "request" and name == case.dialect:
            yield case.request
        elif kind == "response" and name == case.dialect:
            yield _choices(case) + case.body
        elif kind == "response" and name == "headers":
            yield "\n".join(f"{name}:{value}" for name, value in case.headers.items()).encode()
        elif kind in ("framing", "decoding"):
            yield bytes(CHOICES) + case.body


def _choices(case: Case) -> bytes:
    def place(value: object, among: tuple[object, ...]) -> int:
        return among.index(value) if value in among else 0

    return bytes((
        place(case.status, STATUSES),
        place(case.headers.get("content-type", ""), CONTENT_TYPES),
        place(case.operation, OPERATIONS),
        1, 0, 85, 128, 200,
    ))  # fmt: skip


def kept(target: str) -> list[bytes]:
    """What earlier runs have found."""
    try:
        text = _place(target).read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [base64.b64decode(line) for line in text.split()]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Replace what is kept of a target."""
    short = sorted({one for one in inputs if len(one) <= LONGEST}, key=lambda one: (len(one), one))
    KEPT.mkdir(exist_ok=True)
    lines = [base64.b64encode(one).decode() for one in short[:MOST] if one]
    _place(target).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _place(target: str) -> Path:
    return KEPT / f"{target}.txt"
