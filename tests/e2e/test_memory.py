"""Memory does not grow with what passes: large bodies either way, and streams without end."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil
import pytest

from tests.e2e.bench import Bench

MB = 1024 * 1024
LARGE = 50 * MB
ALLOWED = 20 * MB
HOUR_OF_CHUNKS = 180_000
"""One hour at 50 chunks a second."""

Pieces = Callable[[], Iterator[bytes]]


def image() -> Iterator[bytes]:
    """One JSON document with a picture of 50 MB, its usage behind it."""
    yield b'{"created":1,"model":"gpt-image-1","data":[{"b64_json":"'
    block = base64.b64encode(os.urandom(3 * MB // 4))
    for _ in range(LARGE // len(block)):
        yield block
    yield b'"}],"usage":{"input_tokens":9,"output_tokens":4000,"total_tokens":4009,'
    yield b'"input_tokens_details":{"text_tokens":9,"image_tokens":0}}}'


def hour() -> Iterator[bytes]:
    """A chat stream as long as one of an hour, its usage in the last chunk."""
    delta = {
        "id": "c",
        "model": "gpt-6-sol",
        "choices": [{"index": 0, "delta": {"content": "x" * 40}}],
    }
    chunk = b"data: " + json.dumps(delta).encode() + b"\n\n"
    for _ in range(HOUR_OF_CHUNKS // 100):
        yield chunk * 100
    last = {**delta, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield b"data: " + json.dumps(last).encode() + b"\n\n"
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": HOUR_OF_CHUNKS,
        "total_tokens": HOUR_OF_CHUNKS + 9,
    }
    yield b"data: " + json.dumps({**delta, "choices": [], "usage": usage}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def small() -> Iterator[bytes]:
    """An answer of a few bytes."""
    yield b'{"id":"c","model":"gpt-6-sol","choices":[{"finish_reason":"stop"}],'
    yield b'"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}'


@contextmanager
def upstream(answers: list[tuple[str, Pieces, str]]) -> Iterator[str]:
    """A server that reads each request to its end and answers with the next pieces."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for content_type, pieces, encoding in answers:
            client, _ = server.accept()
            with client, client.makefile("rb") as reader:
                while reader.readline() not in (b"\r\n", b""):
                    pass
                while size := int(reader.readline().strip() or b"0", 16):
                    reader.read(size + 2)
                reader.readline()
                squeeze = zlib.compressobj(1, wbits=31)
                named = f"content-encoding: {encoding}\r\n" if encoding else ""
                head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {content_type}\r\n"
                client.sendall(f"{head}{named}\r\n".encode())
                for piece in pieces():
                    client.sendall(squeeze.compress(piece) if encoding else piece)
                if encoding:
                    client.sendall(squeeze.flush())

    threading.Thread(target=serve, daemon=True).start()
    with server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def upload(size: int) -> Iterator[bytes]:
    """A request with a picture of ``size`` bytes in it."""
    yield b'{"model":"gpt-6-sol","messages":[{"role":"user","content":"'
    block = base64.b64encode(os.urandom(3 * MB // 4))
    for _ in range(size // len(block)):
        yield block
    yield b'"}]}'


def post(port: int, path: str, size: int = 0) -> int:
    """Send a request, read its answer to the end; how many bytes that had."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request(
        "POST", path, upload(size), {"transfer-encoding": "chunked"}, encode_chunked=True
    )
    answer = client.getresponse()
    got = 0
    while piece := answer.read1(MB):
        got += len(piece)
    client.close()
    return got


CHAT, IMAGES = "/openai/v1/chat/completions", "/openai/v1/images/generations"
JSON, SSE = "application/json", "text/event-stream"


def settled(pid: int) -> int:
    """The memory of a process that has started: prices and dialects are imported meanwhile."""
    process, deadline = psutil.Process(pid), time.monotonic() + 20
    held = 0
    while (now := process.memory_info().rss) > held + MB // 4 and time.monotonic() < deadline:
        held = now
        time.sleep(1)  # between two looks; longer than any of the imports takes
    return now


class Load(NamedTuple):
    """What passes through."""

    name: str
    path: str
    content_type: str
    pieces: Pieces
    encoding: str = ""
    size: int = 0
    output: int = HOUR_OF_CHUNKS


LOADS = [
    Load("request", CHAT, JSON, small, size=LARGE, output=1),
    Load("response", IMAGES, JSON, image, output=4000),
    Load("response-gzip", IMAGES, JSON, image, "gzip", output=4000),
    Load("stream", CHAT, SSE, hour),
    Load("stream-gzip", CHAT, SSE, hour, "gzip"),
]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_memory_stays_within_20_mb(bench: Bench, load: Load) -> None:
    warm = [(JSON, small, "")] * 3
    with upstream([*warm, (load.content_type, load.pieces, load.encoding)]) as url:
        process = bench.start(
            "serve", "--listen", "127.0.0.1:0", "--route", f"api.openai.com={url}"
        )
        assert process.stderr is not None
        try:
            found = re.search(rb":(\d+), ledger", process.stderr.readline())
            assert found
            port = int(found[1])
            for _ in warm:
                post(port, CHAT)
            begun = settled(process.pid)
            most = begun
            done = threading.Event()

            def watch() -> None:
                nonlocal most
                while not done.wait(0.01):
                    most = max(most, psutil.Process(process.pid).memory_info().rss)

            watcher = threading.Thread(target=watch)
            watcher.start()
            got = post(port, load.path, load.size)
            done.set()
            watcher.join()
        finally:
            process.terminate()
            process.wait(timeout=10)
    assert got > (LARGE // 4 if load.pieces is image else 100)
    row = bench.rows()[-1]
    assert (row["outcome"], row["completeness"]) == ("complete", "final"), row
    assert row["output_tokens"] == load.output
    if load.size:
        assert row["request_bytes"] > LARGE - MB
        assert row["requested_model"] == "gpt-6-sol"
    assert most - begun < ALLOWED, f"{(most - begun) / MB:.1f} MB more than at the start"
