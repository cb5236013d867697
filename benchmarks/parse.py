"""What reading answers costs: ``python -m benchmarks.parse``.

The parsers alone, without a proxy: of each dialect a whole JSON answer of 2 kB, and a
stream of 200 chunks, each a piece of text that the network brings by itself, or all in
bursts of 16 KiB. Before that comes what a body's framing costs: HTTP's chunks, and gzip
that is flushed at each event. Processor time of this thread; of several rounds the best,
since others only ever add to it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TextIO

from tokenproxy.proxy.lane.body import body_of
from tokenproxy.wire import routes
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.usage import Reading

CHUNKS = 200
BURST = 16 * 1024
TEXT = "x" * 1700
PIECE = "some words of it "


class Stream(NamedTuple):
    """What a provider sends, piece by piece."""

    dialect: str
    media_type: str
    begins: list[bytes]
    chunk: Callable[[int], bytes]
    """The so-and-so-many-th of the pieces of text."""
    ends: list[bytes]


def streams() -> list[Stream]:
    """One of each framing and each way to say usage."""
    return [
        Stream(
            "anthropic.messages",
            "text/event-stream",
            [
                _event("message_start", message=_CLAUDE | {"content": [], "stop_reason": None}),
                _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            ],
            lambda _: _event(
                "content_block_delta", index=0, delta={"type": "text_delta", "text": PIECE}
            ),
            [
                _event("content_block_stop", index=0),
                _event("message_delta", delta={"stop_reason": "end_turn"}, usage=_CLAUDE["usage"]),
                _event("message_stop"),
            ],
        ),
        Stream(
            "openai.chat",
            "text/event-stream",
            [_data(_chat({"role": "assistant", "content": ""}))],
            lambda _: _data(_chat({"content": PIECE})),
            [
                _data(_chat({}, reason="stop")),
                _data(_chat(None) | {"choices": [], "usage": _GPT}),
                b"data: [DONE]\n\n",
            ],
        ),
        Stream(
            "openai.responses",
            "text/event-stream",
            [_event("response.created", response=_RESPONSE | {"usage": None, "output": []})],
            lambda number: _event(
                "response.output_text.delta",
                item_id="msg_1",
                output_index=0,
                content_index=0,
                delta=PIECE,
                sequence_number=number,
            ),
            [_event("response.completed", response=_RESPONSE)],
        ),
        Stream(
            "google.generate_content",
            "text/event-stream",
            [],
            lambda number: _data(_gemini(PIECE, output=number)),
            [_data(_gemini(PIECE, output=CHUNKS, reason="STOP"))],
        ),
        Stream(
            "google.generate_content",
            "application/json",
            [b"["],
            lambda number: json.dumps(_gemini(PIECE, output=number)).encode() + b"\n,\r\n",
            [json.dumps(_gemini(PIECE, output=CHUNKS, reason="STOP")).encode() + b"]"],
        ),
        Stream(
            "ollama.chat",
            "application/x-ndjson",
            [],
            lambda _: _line(model="m", message={"role": "assistant", "content": PIECE}, done=False),
            [_line(model="m", done=True, done_reason="stop", prompt_eval_count=9, eval_count=200)],
        ),
    ]


def documents() -> list[tuple[str, dict[str, Any]]]:
    """Whole answers."""
    return [
        ("anthropic.messages", _CLAUDE),
        ("openai.chat", _chat(None) | {"choices": [_CHOICE], "usage": _GPT}),
        ("openai.responses", _RESPONSE),
        ("google.generate_content", _gemini(TEXT, output=42, reason="STOP")),
    ]


_CLAUDE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 42,
    },
}
_GPT: dict[str, Any] = {
    "prompt_tokens": 12,
    "completion_tokens": 42,
    "total_tokens": 54,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_CHOICE: dict[str, Any] = {
    "index": 0,
    "message": {"role": "assistant", "content": TEXT},
    "finish_reason": "stop",
}
_RESPONSE: dict[str, Any] = {
    "id": "resp_01",
    "object": "response",
    "status": "completed",
    "model": "gpt-6",
    "output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": TEXT}]}],
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 42,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 54,
    },
}


def _chat(delta: dict[str, Any] | None, reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-01",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-6",
        "service_tier": "default",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        "usage": None,
    }


def _gemini(text: str, output: int, reason: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate | {"index": 0}],
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": output,
            "totalTokenCount": 12 + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
        },
        "modelVersion": "gemini-4-pro",
        "responseId": "r01",
    }


def _event(name: str, **data: Any) -> bytes:
    return f"event: {name}\n".encode() + _data({"type": name} | data)


def _data(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _line(**data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def framed(pieces: Sequence[bytes]) -> list[bytes]:
    """Pieces as chunks of HTTP/1.1."""
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]


def compressed(pieces: Sequence[bytes]) -> list[bytes]:
    """Pieces as gzip that can be read up to the end of each."""
    gzip = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    return [gzip.compress(piece) + gzip.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]


def unframe(pieces: Sequence[bytes]) -> None:
    """Follow a body as the lane does."""
    body = body_of("chunked")
    for piece in pieces:
        body.feed(piece)


def decode(pieces: Sequence[bytes]) -> None:
    """Decode a body as the tap does."""
    decoder = open_decoder("gzip")
    for piece in pieces:
        for _ in decoder.pieces(piece):
            pass


def read(dialect: str, media_type: str, pieces: Sequence[bytes]) -> Reading:
    """Read an answer as the tap does."""
    parser = routes.dialect(dialect).open_response(Head(status=200, content_type=media_type))
    decoder = open_decoder("")
    for piece in pieces:
        for plain in decoder.pieces(piece):
            parser.feed(plain)
    parser.close()
    return parser.reading


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args(arguments).rounds
    text = streams()[0]
    events = [*map(text.chunk, range(CHUNKS))]
    for name, work, pieces in (
        ("HTTP chunks", unframe, framed(events)),
        ("gzip", decode, compressed(events)),
    ):
        _say(
            sys.stdout,
            name,
            text.dialect,
            chunk=_least(rounds, partial(work, pieces)) / CHUNKS,
            burst=_least(rounds, partial(work, _bursts(pieces))) / CHUNKS,
        )
    for dialect, document in documents():
        body = json.dumps(document).encode()
        _say(sys.stdout, dialect, "JSON", call=_best(rounds, dialect, "application/json", [body]))
    for stream in streams():
        short = [*stream.begins, *stream.ends]
        whole = [*stream.begins, *map(stream.chunk, range(CHUNKS)), *stream.ends]
        call = _best(rounds, stream.dialect, stream.media_type, short)
        _say(
            sys.stdout,
            stream.dialect,
            stream.media_type,
            call=call,
            chunk=(_best(rounds, stream.dialect, stream.media_type, whole) - call) / CHUNKS,
            burst=(_best(rounds, stream.dialect, stream.media_type, _bursts(whole)) - call)
            / CHUNKS,
        )
    return 0


def _bursts(pieces: Sequence[bytes]) -> list[bytes]:
    joined = b"".join(pieces)
    return [joined[at : at + BURST] for at in range(0, len(joined), BURST)]


def _best(rounds: int, dialect: str, media_type: str, pieces: Sequence[bytes]) -> float:
    reading = read(dialect, media_type, pieces)
    if reading.completeness != "final":
        raise ValueError(dialect, reading)
    return _least(rounds, partial(read, dialect, media_type, pieces))


def _least(rounds: int, work: Callable[[], object]) -> float:
    times = 10
    return min(timed(times, work) for _ in range(rounds))


def timed(times: int, work: Callable[[], object]) -> float:
    """Microseconds of this thread that some work takes, done so many times in a row."""
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times * 1e6


def _say(out: TextIO, dialect: str, framing: str, **costs: float) -> None:
    units = {"burst": "chunk in bursts"}
    told = ", ".join(f"{cost:6.2f} us a {units.get(what, what)}" for what, cost in costs.items())
    out.write(f"{dialect:24} {framing:18} {told}\n")


if __name__ == "__main__":
    sys.exit(main())
