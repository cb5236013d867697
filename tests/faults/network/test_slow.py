"""Slow readers, slow askers, a gigabyte: each end is as fast as the other, memory stays flat."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.bench import Bench, wait_until
from tests.e2e.test_memory import ALLOWED, settled
from tests.faults.network.scene import DEADLINE_S, HOST
from tests.faults.network.test_upstream import HEAD, REQUEST, SSE, chunk
from tests.listening import let_go
from tests.proxy.lane.test_relay import EVENTS, QUESTION

MB = 1024 * 1024
WARM = 2
"""Calls before it counts."""
ANSWER_BYTES = 200 * MB
HELD = 24 * MB
"""What kernels and the proxy may hold between two ends: some megabytes a socket."""
EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"' + b"x" * 1024 + b'"}}\n\n'
)
BLOCK = chunk(EVENT) * 64


class Counted:
    """A provider that answers without end, and counts what it got rid of."""

    def __init__(self, serve: Callable[[socket.socket, Counted], None]) -> None:
        self.bytes = 0
        self.left = threading.Event()
        self._serve = serve
        self._warm = WARM
        """Connections that get a short answer."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(120)
                self._warm -= 1
                with connection, contextlib.suppress(OSError):
                    if self._warm >= 0:
                        heard = b""
                        while not heard.endswith(QUESTION):  # what is left unread is a reset
                            heard += connection.recv(65536) or QUESTION
                        connection.sendall(WHOLE)
                    else:
                        self._serve(connection, self)
                if self._warm < 0:
                    self.left.set()

    def close(self) -> None:
        let_go(self._listener)


class Gateway:
    """A running ``tokenproxy serve``, with its memory watched once all is imported."""

    def __init__(self, bench: Bench, url: str) -> None:
        self._process = bench.start(
            "serve", "--listen", "127.0.0.1:0", "--no-token", "--idle-timeout", "600",
            "--route", f"{HOST}={url}",
        )  # fmt: skip
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        self.port = int(line.partition(b"http://127.0.0.1:")[2].partition(b",")[0])
        for version in (b"1.1", b"1.0"):  # each way once
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
                client.sendall(REQUEST.replace(b"HTTP/1.1", b"HTTP/" + version))
                while client.recv(65536):
                    pass
        served = psutil.Process(self._process.pid)
        # One worker is the process itself or its child.
        self._watched = [served, *served.children(recursive=True)]
        self._begun = sum(settled(one.pid) for one in self._watched)

    @property
    def grown(self) -> int:
        """Bytes of memory more than at the beginning."""
        return sum(one.memory_info().rss for one in self._watched) - self._begun

    def close(self) -> str:
        self._process.terminate()
        _, said = self._process.communicate(timeout=20)
        return said.decode()


@contextmanager
def standing(
    bench: Bench, serve: Callable[[socket.socket, Counted], None]
) -> Iterator[tuple[Counted, Gateway]]:
    provider = Counted(serve)
    gateway = Gateway(bench, provider.url)
    try:
        yield provider, gateway
    finally:
        said = gateway.close()
        provider.close()
        assert "Traceback" not in said
        for log in Path(bench.state).rglob("*.log"):
            assert "Traceback" not in log.read_text()


def answer_at_length(connection: socket.socket, counted: Counted) -> None:
    connection.recv(65536)
    connection.sendall(HEAD)
    while counted.bytes < ANSWER_BYTES:
        connection.sendall(BLOCK)
        counted.bytes += len(BLOCK)


def small_client(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(DEADLINE_S)
    client.connect(("127.0.0.1", port))
    return client


@pytest.mark.parametrize("version", [b"1.1", b"1.0"], ids=["lane", "mitmproxy"])
def test_a_reader_of_a_kilobyte_a_second(bench: Bench, version: bytes) -> None:
    """The provider of 200 MB has to wait for it, and we hold next to nothing."""
    with standing(bench, answer_at_length) as (provider, gateway):
        with small_client(gateway.port) as client:
            client.sendall(REQUEST.replace(b"HTTP/1.1", b"HTTP/" + version))
            most = 0
            sent = -1
            still = 0
            deadline = time.monotonic() + 30
            while still < 3:  # seconds in which the provider got rid of nothing
                assert time.monotonic() < deadline, "the provider is never paused"
                assert client.recv(1024)
                time.sleep(1)
                most = max(most, gateway.grown)
                still = still + 1 if provider.bytes == sent else 0
                sent = provider.bytes
        assert provider.left.wait(DEADLINE_S), "the provider goes on for nobody"
        wait_until(lambda: len(bench.rows()) == WARM + 1)
    row = bench.rows()[-1]
    assert row["outcome"] == "aborted"
    assert provider.bytes < HELD
    assert most < ALLOWED, f"{most / MB:.1f} MB"


def test_a_provider_that_takes_its_time(bench: Bench) -> None:
    """An upload waits for a provider that does not read, and goes on when it does."""
    go_on = threading.Event()
    size = 100 * MB

    def serve(connection: socket.socket, counted: Counted) -> None:
        connection.recv(1)
        go_on.wait(60)
        took(connection, counted)

    with standing(bench, serve) as (provider, gateway):
        sent = [0]
        asker = threading.Thread(target=upload, args=(gateway.port, size, sent), daemon=True)
        asker.start()
        wait_until(lambda: sent[0] > MB)
        before = -1
        while before != sent[0]:
            before = sent[0]
            time.sleep(1)
        assert sent[0] < HELD
        most = gateway.grown
        go_on.set()
        asker.join(60)
        assert not asker.is_alive()
        most = max(most, gateway.grown)
        assert provider.bytes >= size
        wait_until(lambda: len(bench.rows()) == WARM + 1)
    row = bench.rows()[-1]
    assert (row["outcome"], row["completeness"]) == ("complete", "final")
    assert most < ALLOWED, f"{most / MB:.1f} MB"


@pytest.mark.timeout(240)
def test_a_gigabyte_passes(bench: Bench) -> None:
    size = 1024 * MB
    with standing(bench, took) as (provider, gateway):
        sent = [0]
        asker = threading.Thread(target=upload, args=(gateway.port, size, sent), daemon=True)
        asker.start()
        most = 0
        while asker.is_alive():
            most = max(most, gateway.grown)
            time.sleep(0.05)
        assert provider.bytes >= size
        wait_until(lambda: len(bench.rows()) == WARM + 1)
    row = bench.rows()[-1]
    assert (row["outcome"], row["completeness"]) == ("complete", "final")
    assert row["request_bytes"] > size
    assert row["model"] == row["requested_model"] == "claude-opus-5-5"
    assert most < ALLOWED, f"{most / MB:.1f} MB"


WHOLE = SSE + b"connection: close\r\n\r\n" + EVENTS
PREFIX = b'{"model":"claude-opus-5-5","max_tokens":9,"messages":[{"role":"user","content":"'
SUFFIX = b'"}]}'


def upload(port: int, size: int, sent: list[int]) -> None:
    """Ask with so many bytes, and wait for the answer."""
    block = b"x" * MB
    blocks = size // MB
    length = len(PREFIX) + blocks * MB + len(SUFFIX)
    head = (
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(head % length + PREFIX)
        for _ in range(blocks):
            client.sendall(block)
            sent[0] += MB
        client.sendall(SUFFIX)
        while client.recv(65536):
            pass


def took(connection: socket.socket, counted: Counted) -> None:
    """Read a request to its end, and answer it."""
    tail = b""
    while not tail.endswith(SUFFIX):
        piece = connection.recv(MB)
        if not piece:
            return
        counted.bytes += len(piece)
        tail = (tail + piece)[-len(SUFFIX) :]
    connection.sendall(WHOLE)
