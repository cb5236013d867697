"""Reading the simulator's wire with means of its own, so that tests check it from outside."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from typing import Any
from urllib.parse import urlsplit

import brotli  # type: ignore[import-untyped] # it ships none
import zstandard

from tokenproxy.simulator.messages import Tokens
from tokenproxy.simulator.server import Simulator

Json = dict[str, Any]


def connect(sim: Simulator) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", urlsplit(sim.url).port or 0, timeout=10)


def ask(
    sim: Simulator,
    *,
    stream: bool = True,
    model: str = "claude-opus-5-5",
    headers: dict[str, str] | None = None,
    **body: Any,
) -> tuple[http.client.HTTPResponse, bytes]:
    """One call on a connection of its own: the response and its body as it came."""
    connection = connect(sim)
    try:
        data = json.dumps({"model": model, "stream": stream, **body})
        connection.request("POST", "/v1/messages?beta=true", data, headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def decoded(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "deflate-raw":
            return zlib.decompress(body, wbits=-15)
        case "br":
            return bytes(brotli.decompress(body))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    raise AssertionError(encoding)


def sse(body: bytes) -> list[tuple[str, Json]]:
    events = []
    for block in body.decode().split("\n\n"):
        if block:
            name, data = block.split("\n")
            events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def usage_of(events: list[tuple[str, Json]]) -> Json:
    """What an SDK accumulates: the start's usage, overridden by what deltas state."""
    usage: Json = {}
    for name, data in events:
        stated = data["message"]["usage"] if name == "message_start" else data.get("usage", {})
        usage |= {key: value for key, value in stated.items() if value is not None}
    return usage


def assert_states(usage: Json, tokens: Tokens) -> None:
    """Assert that ``usage`` states ``tokens``."""
    assert usage["input_tokens"] == tokens.input
    assert usage["cache_read_input_tokens"] == tokens.cache_read
    assert usage["cache_creation_input_tokens"] == tokens.cache_write
    assert usage["output_tokens"] == tokens.output
