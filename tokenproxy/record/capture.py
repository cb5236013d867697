"""Bodies of calls, kept if asked for: one compressed file a call, without credentials.

Taken on the event loop as references to bytes that are there anyway; decoded, cleaned,
compressed and written in a thread of its own, after the call. What cannot be written,
or would take too much memory, is left out, and the user is told how often: a capture
is a help, the ledger is the account.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import zstandard

from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.record.capture_files import prune, write
from tokenproxy.record.event_lines import EVENT_STREAM, event_lines
from tokenproxy.record.redact import Redactor
from tokenproxy.wire.decoding import open_decoder

logger = logging.getLogger(__name__)

SCHEMA: Final = "tokenproxy.capture/1"
LONGEST: Final = 32 * 1024 * 1024
"""Bytes of a body that are kept, as sent and once decoded."""
HELD: Final = 256 * 1024 * 1024
"""Bytes of all bodies that wait to be written; what comes on top is left out."""
PRUNE_S: Final = 3600.0
_LEVEL: Final = 3


class _Body:
    """One direction's bytes."""

    def __init__(self) -> None:
        self.encoding = ""
        self.content_type = ""
        self.pieces: list[bytes] = []
        self.size = 0
        self.cut = False


class Captured:
    """A call's bodies while it is under way. Belongs to the event loop."""

    def __init__(
        self, captures: Captures, start: CallStart, headers: Mapping[str, str], path: str
    ) -> None:
        self.start = start
        self.request, self.response = _Body(), _Body()
        self.redactor = Redactor(headers, path)
        self._captures = captures
        _describe(self.request, headers)

    def asked(self, data: bytes) -> None:
        """More of the request."""
        self._captures.take(self.request, data)

    def answered_by(self, headers: Mapping[str, str]) -> None:
        """The response's headers, names in lower case."""
        _describe(self.response, headers)

    def answered(self, data: bytes) -> None:
        """More of the response."""
        self._captures.take(self.response, data)

    def close(self, end: CallEnd) -> None:
        """The call is over: the file is written soon."""
        self._captures.close(self, end)


class Captures:
    """Keeps the bodies of a run's calls.

    Args:
        directory: ``{state}/captures``; made for this user alone.
        run_id: names the directory in it that is this run's.
        days: how long captures are kept, those of other runs included.
    """

    def __init__(self, directory: Path, run_id: str, days: float) -> None:
        self._directory = directory
        self._run_id = run_id
        self._days = days
        self._queue: SimpleQueue[tuple[Captured, CallEnd] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._held = 0
        self._lost = 0
        self._why: str | None = None
        self._thread = threading.Thread(target=self._work, name="tokenproxy-captures", daemon=True)
        self._thread.start()

    def open(self, start: CallStart, headers: Mapping[str, str], path: str = "") -> Captured:
        """A call that begins; its request's headers have lower-cased names, its path a query."""
        return Captured(self, start, headers, path)

    def take(self, body: _Body, data: bytes) -> None:
        """Keep a piece, as long as there is room."""
        if body.size + len(data) > LONGEST or self._held + len(data) > HELD:
            body.cut = True
        if body.cut:
            return
        body.pieces.append(data)
        body.size += len(data)
        with self._lock:
            self._held += len(data)

    def close(self, captured: Captured, end: CallEnd) -> None:
        """Have a call's file written."""
        self._queue.put((captured, end))

    def finish(self, timeout_s: float) -> tuple[str, ...]:
        """Write what waits, for at most so many seconds. Returns what the user should know."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return ("some captures were not written in time",)
        if not self._lost:
            return ()
        calls = "call was" if self._lost == 1 else "calls were"
        return (f"{self._lost} {calls} not captured: {self._why}",)

    def _work(self) -> None:
        due = 0.0
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + PRUNE_S
                try:
                    prune(self._directory, self._days, keep=self._run_id)
                except OSError:
                    logger.exception("old captures are not removed")
            taken = self._queue.get()
            if taken is None:
                return
            captured, end = taken
            try:
                self._write(captured, end)
            except OSError as error:
                self._lost += 1
                self._why = error.strerror or str(error)
            except Exception as error:
                logger.exception("call %s is not captured", captured.start.call_id)
                self._lost += 1
                self._why = type(error).__name__
            with self._lock:
                self._held -= captured.request.size + captured.response.size

    def _write(self, captured: Captured, end: CallEnd) -> None:
        start = captured.start
        document = {
            "schema": SCHEMA,
            "call_id": start.call_id,
            "run_id": self._run_id,
            "trace_id": start.trace_id,
            "span_id": start.span_id,
            "started": _time(start.started_ns),
            "ended": _time(end.ended_ns),
            "provider": start.provider,
            "operation": start.operation,
            "server_address": start.server_address,
            "status_code": end.status_code,
            "outcome": end.outcome,
            "request": _told(captured.request, captured.redactor),
            "response": _told(captured.response, captured.redactor),
        }
        text = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(text)
        write(self._directory, self._run_id, start.call_id, packed)


def _describe(body: _Body, headers: Mapping[str, str]) -> None:
    body.encoding = headers.get("content-encoding", "")
    body.content_type = headers.get("content-type", "").partition(";")[0].strip()


def _told(body: _Body, redactor: Redactor) -> dict[str, Any]:
    """A body as a capture has it."""
    sent, body.pieces = b"".join(body.pieces), []
    decoder = open_decoder(body.encoding)
    cut = body.cut
    pieces: list[bytes] = []
    size = 0
    for piece in decoder.pieces(sent):
        size += len(piece)
        if size > LONGEST:
            cut = True
            break
        pieces.append(piece)
    told: dict[str, Any] = {"content_type": body.content_type, "bytes": body.size}
    if decoder.failed:
        # Nothing can be found in what cannot be read, so it is not kept.
        return told | {"unreadable": body.encoding}
    text = b"".join(pieces)
    if body.content_type == EVENT_STREAM:
        text, whole = event_lines(text)
        cut = cut or not whole
    clean = redactor.clean(text)
    try:
        told["body"] = clean.decode()
    except UnicodeDecodeError:
        told["body_base64"] = base64.b64encode(clean).decode()
    if cut:
        told["cut"] = True
    return told


def _time(unix_ns: int) -> str:
    moment = datetime.fromtimestamp(unix_ns / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
