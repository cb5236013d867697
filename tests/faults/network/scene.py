"""A provider and a client that do what they are told, with a proxy and its account between them."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.listening import let_go
from tests.proxy.harness import RUN, Proxy
from tokenproxy.record.ledger import iter_rows
from tokenproxy.record.recorder import Recorder

DEADLINE_S = 15.0
"""Nobody waits longer than this for anything."""
PAUSE_S = 0.08
"""Long enough for what was sent before to be read: a reset takes away what was not."""
RESET = struct.pack("ii", 1, 0)

HOST = "api.anthropic.com"
Row = Mapping[str, Any]


def reset(connection: socket.socket) -> None:
    """Close by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


@dataclass
class Script:
    """What a provider does with each connection."""

    pieces: Sequence[bytes] = ()
    """Sent one by one, when the request is there."""
    end: str = "close"
    """``close``, ``reset``, ``stall`` (say nothing more, until the client leaves)."""
    reads: int = -1
    """Bytes of the request that are waited for; -1: its head and its body."""
    until: bytes = b""
    """What the request ends with, where it is none of HTTP's."""
    agrees: bytes = b""
    """Sent as soon as the request's head is there: to an upgrade."""


@dataclass
class Upstream:
    """A provider on a port of its own, of any number of connections.

    Args:
        script: For each connection; the last one again and again.
        trust: Its certificate; None: no TLS.
    """

    scripts: Sequence[Script] = ()
    trust: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    heard: bytes = b""
    """What came after the last request."""
    left: threading.Event = field(default_factory=threading.Event)
    """The client's end of a connection was seen."""
    asked: threading.Event = field(default_factory=threading.Event)
    """A request is there."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        scheme = "https" if self.trust else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._taken = 0
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def play(self, *scripts: Script) -> None:
        """What it does with the connections to come."""
        self.scripts, self._taken = scripts, 0
        self.left.clear()
        self.asked.clear()

    def __exit__(self, *_: object) -> None:
        let_go(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                script = self.scripts[min(self._taken, len(self.scripts) - 1)]
                self._taken += 1
                threading.Thread(target=self._serve, args=(connection, script), daemon=True).start()

    def _serve(self, connection: socket.socket, script: Script) -> None:
        connection.settimeout(DEADLINE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            if self.trust is not None:
                connection = self.trust.wrap_socket(connection, server_side=True)
            self.requests.append(_request(connection, script))
            self.asked.set()
            for piece in script.pieces:
                connection.sendall(piece)
                time.sleep(0.002)
            if script.end == "reset":
                time.sleep(PAUSE_S)
                reset(connection)
                return
            if script.end == "close":
                connection.shutdown(socket.SHUT_WR)
            self.heard = b""
            while piece := connection.recv(65536):
                self.heard += piece
        self.left.set()
        connection.close()


def _request(connection: socket.socket, script: Script) -> bytes:
    def is_there(got: bytes) -> bool:
        if script.until:
            return got.endswith(script.until)
        return len(got) >= script.reads if script.reads >= 0 else _is_whole(got)

    got, agrees = b"", script.agrees
    while not is_there(got):
        piece = connection.recv(65536)
        if not piece:
            break
        got += piece
        if agrees and b"\r\n\r\n" in got:
            connection.sendall(agrees)
            agrees = b""
    return got


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return False
    lower = head.lower()
    if b"chunked" in lower:
        return body.endswith(b"0\r\n\r\n")
    length = lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or b"0")


@dataclass(frozen=True)
class Seen:
    """What a client saw."""

    got: bytes
    end: str
    """``end`` (an orderly one), ``reset``, ``silence`` (nothing more in time)."""


def read(connection: socket.socket, *, silence_s: float = DEADLINE_S, until: bytes = b"") -> Seen:
    """All that comes, and how it ends; with ``until`` no more than to there."""
    got = b""
    connection.settimeout(silence_s)
    try:
        while piece := connection.recv(65536):
            got += piece
            if until and got.endswith(until):
                return Seen(got, "silence")
    except TimeoutError:
        return Seen(got, "silence")
    except OSError:
        return Seen(got, "reset")
    return Seen(got, "end")


def connected(port: int) -> socket.socket:
    """A connection whose small pieces go at once."""
    made = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


@dataclass
class Account:
    """A running proxy and what it told."""

    proxy: Proxy
    ledger: Path
    upstream: Upstream
    seen: int = 0
    """Rows that were asked for."""

    @property
    def port(self) -> int:
        return self.proxy.port

    def forget(self) -> None:
        """What an earlier test left is not this one's."""
        self.seen = len(self.rows)

    @property
    def rows(self) -> list[Row]:
        """As far as they are written."""
        if not self.ledger.exists():
            return []
        found = list(iter_rows(self.ledger))
        assert [line.problem for line in found if line.row is None] == []
        return [line.row for line in found if line.row is not None]

    def wait(self, count: int = 1) -> list[Row]:
        """So many rows more than the last time; and not one more of them."""
        deadline = time.monotonic() + DEADLINE_S
        while len(self.rows) < self.seen + count:
            assert time.monotonic() < deadline, f"{len(self.rows) - self.seen} of {count} rows"
            time.sleep(0.005)
        found = self.rows[self.seen :]
        assert len(found) == count
        self.seen += count
        return found


@contextmanager
def accounted(
    directory: Path, upstream: Upstream, *, lane: bool = True, host: str = HOST, **more: Any
) -> Iterator[Account]:
    """A proxy in front of a provider, with a ledger of its own. Its log has no fault of ours."""
    ledger = directory / "provider_usage.jsonl"
    journal = directory / "runs" / "run" / "journal-0.jsonl"
    recorder = Recorder(run=RUN, ledger=ledger, journal=journal)
    recorder.start()
    with no_fault_in_log():
        try:
            with Proxy(routes={host: upstream.url}, recorder=recorder, lane=lane, **more) as proxy:
                account = Account(proxy, ledger, upstream)
                yield account
        finally:
            recorder.finish(None)
    assert len(account.rows) == account.seen, "rows that nobody expected"
    assert not journal.exists(), "a call is still open"


@contextmanager
def no_fault_in_log() -> Iterator[None]:
    """Fails if something was logged with a traceback, or as an error."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info or record.levelno >= logging.ERROR:
                found.append(f"{record.name}: {record.getMessage()} {record.exc_info}")

    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert found == []
