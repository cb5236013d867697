"""One call's tap: a copy of its bytes, read after they were sent on.

The streaming callbacks of mitmproxy run *before* a chunk is written. They
return it untouched and leave the reading to ``call_soon``: the event loop runs
that after the write. Everything the tap does is therefore late by design, and
nothing it does can hold a byte back. The order of a request's chunks and of the
end is kept because ``call_soon`` is first in, first out.

A response's chunks are read at once up to the first content, whose moment is told, and
when they come one by one. What comes in a burst behind it is kept a little and read in
one piece: that costs less, and events that the network has cut are whole again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tokenproxy.proxy.backlog import Backlog
from tokenproxy.proxy.request_body import RequestBody
from tokenproxy.proxy.settle import STOPPED, copy_of, settle
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire import decoding, notes, routes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.usage import Reading, ResponseFacts

if TYPE_CHECKING:
    from tokenproxy.record.capture import Captured

logger = logging.getLogger(__name__)

READ_AT_ONCE = 64 * 1024
"""Bytes of a response that are not left to be read later."""

BURST_NS = 2_000_000
"""Time between two reads of a burst, at most: who writes by hand, or thinks, takes longer."""

_STREAMS = ("event-stream", "amazon.eventstream", "ndjson", "stream+json")
"""What the media type of an answer that comes piece by piece has in it: SSE, AWS, JSON lines."""


class Tap:
    """Reads one call and tells the recorder. All methods run on the event loop; none raises."""

    def __init__(
        self,
        start: CallStart,
        recorder: Recorder,
        call_soon: Callable[..., object],
        captured: Captured | None = None,
        later: Callable[[Callable[[], None]], object] | None = None,
        *,
        told: Callable[[Tap], object] | None = None,
    ) -> None:
        """Begin.

        Args:
            start: The call.
            recorder: Gets what is read.
            call_soon: The event loop's.
            captured: Keeps the bodies.
            later: Does what can wait a little (:mod:`tokenproxy.proxy.later`).
            told: Called once the recorder knows of the end.
        """
        self.start = start
        self._told = told
        self._captured = captured
        self._recorder = recorder
        self._call_soon = call_soon
        self._later = later or call_soon
        self._dialect = routes.dialect(start.dialect)
        self._request = RequestBody(start.call_id, self._dialect, recorder, call_soon)
        self._status: int | None = None
        self._facts = ResponseFacts()
        self._stream = False
        self._decoder: decoding.Decoder | None = None
        self._backlog: Backlog | None = None
        """Of an answer that is compressed."""
        self._parser: ResponseParser | None = None
        self._items: list[Reading] = []
        self._response_bytes = 0
        self._unread: list[tuple[bytes, int]] = []
        """Of the response, each with its moment, ns."""
        self._unread_bytes = self._arrived_ns = 0
        self._first_content_ns: int | None = None
        self._passing_ns: int | None = None
        """When the piece came that is being passed on; None: none is."""
        self._body_over_ns: int | None = None
        self._end: tuple[str | None, int] | None = None
        """How and when it ended, while not all is read."""
        self._done = False

    # -- the request ------------------------------------------------------

    def request_headers(self, headers: Mapping[str, str]) -> None:
        """The request's headers, names lower-cased."""
        self._request.encoding = headers.get("content-encoding", "")

    def request_chunk(self, data: bytes) -> bytes:
        """Stream callback of the request. An HTTP/2 client may send empty pieces in between."""
        if self._captured is not None:
            self._captured.asked(data)
        self._request.take(data)
        return data

    def request_over(self) -> None:
        """The request is complete."""
        self._call_soon(self._request.over)

    # -- the response -----------------------------------------------------

    def response_headers(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers, names lower-cased."""
        self._status = status
        content_type = headers.get("content-type", "")
        self._stream = any(mark in content_type.lower() for mark in _STREAMS)
        if self._captured is not None:
            self._captured.answered_by(headers)
        try:
            self._open(status, content_type, headers)
        except Exception:
            # Invariant 1: a fault of ours never harms the call. The row will say less.
            logger.exception("call %s: response not read", self.start.call_id)
            self._parser = self._decoder = self._backlog = None

    def _open(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        self._facts = self._dialect.read_response_headers(headers)
        self._decoder = decoding.open_decoder(headers.get("content-encoding", ""))
        if not self._decoder.plain:
            self._backlog = Backlog(
                self._decoder.pieces, self._feed, self._call_soon, self._caught_up
            )
        self._parser = self._dialect.open_response(
            Head(
                status=status,
                content_type=content_type,
                headers=headers,
                operation=self.start.operation,
                model=self.start.path_model,
                provider=self.start.provider,
                first_party=routes.is_first_party(
                    self.start.provider, f"{self.start.server_address}:{self.start.server_port}"
                ),
            )
        )

    def response_chunk(self, data: bytes, arrived_ns: int | None = None) -> bytes:
        """Stream callback of the response: a piece that came just now, if nothing is said.

        mitmproxy says with an empty one that the body is over, and then waits for its addons.
        Pieces that came with the end have been sent by then, so the end is when they came.
        """
        if data:
            self._response_bytes += len(data)
            if self._captured is not None:
                self._captured.answered(data)
            if arrived_ns is None:
                arrived_ns = self._passing_ns = time.time_ns()
                self._call_soon(self._passed_on)
            alone = arrived_ns - self._arrived_ns > BURST_NS or self._first_content_ns is None
            self._arrived_ns = arrived_ns
            self._unread.append((data, arrived_ns))
            self._unread_bytes += len(data)
            if alone or self._unread_bytes >= READ_AT_ONCE:
                self._call_soon(self._read_unread)
            elif len(self._unread) == 1:
                self._later(self._read_unread)
        else:
            self._body_over_ns = self._passing_ns or time.time_ns()
        return data

    def _passed_on(self) -> None:
        self._passing_ns = None

    def _read_unread(self) -> None:
        unread, self._unread, self._unread_bytes = self._unread, [], 0
        at = 0
        while at < len(unread) and self._first_content_ns is None:
            self._read(*unread[at])
            at += 1
        if at + 1 < len(unread):
            self._read(b"".join([data for data, _ in unread[at:]]), unread[-1][1])
        elif at < len(unread):
            self._read(*unread[at])

    def _read(self, data: bytes, arrived_ns: int) -> None:
        if self._backlog is not None:
            self._backlog.read(data, arrived_ns)
        else:
            self._feed(((data, arrived_ns),))

    def _feed(self, pieces: Iterable[tuple[bytes, int]]) -> bool:
        """Have decoded bytes read, each with its moment; False if nothing more is."""
        parser = self._parser
        if parser is None or self._decoder is None or self._done:
            return False
        news = False
        try:
            for piece, arrived_ns in pieces:
                news = parser.feed(piece) or news
                self._note(arrived_ns)
            if news:
                self._recorder.progressed(self.start.call_id, copy_of(parser.reading))
        except Exception:
            # Invariant 1: a fault of ours never harms the call. The row will say less.
            logger.exception("call %s: response not read further", self.start.call_id)
            self._decoder = None
            return False
        return True

    def _note(self, arrived_ns: int) -> None:
        parser = self._parser
        if parser is None:
            return
        if self._first_content_ns is None and parser.reading.content_started:
            self._first_content_ns = arrived_ns
        if self.start.kind == "batch_results":
            self._items.extend(parser.take_items())

    def _take_replay(self, reading: Reading) -> None:
        """An earlier answer that was fetched is a result of its own, if its usage is told."""
        if self.start.kind == "replay" and reading.parts:
            self._items.append(copy_of(reading))

    # -- the end ----------------------------------------------------------

    def over(self, broken: str | None = None, ended_ns: int | None = None) -> None:
        """The exchange ended as HTTP ends, or one side broke it off: ``broken`` says which.

        The end is when the last of it came: ``ended_ns``, else when the body was over, else now.
        """
        whole_ns = self._body_over_ns if broken is None else None
        self._call_soon(self._ended, broken, ended_ns or whole_ns or time.time_ns())

    def _ended(self, broken: str | None, ended_ns: int) -> None:
        if self._done:
            return
        self._end = self._end or (broken, ended_ns)
        at_once = broken == STOPPED
        asked = self._request.over(self._caught_up, at_once=at_once)
        self._read_unread()
        if self._is_read(at_once=at_once) and asked:
            self._finish(*self._end)

    def _is_read(self, *, at_once: bool) -> bool:
        """Whether all that came of the answer is; what would take long, never if ``at_once``."""
        backlog, decoder = self._backlog, self._decoder
        if backlog is None or not backlog.waits:
            return True
        if at_once and not backlog.finish() and decoder is not None:
            decoder.failed = True
        return at_once

    def _caught_up(self) -> None:
        """All that came of something compressed is read."""
        if self._end is not None:
            self._ended(*self._end)

    def _finish(self, broken: str | None, ended_ns: int) -> None:
        reading = Reading()
        try:
            if self._parser is not None:
                self._parser.close()
                self._note(ended_ns)
                reading = self._parser.reading
                self._take_replay(reading)
        except Exception:
            logger.exception("call %s: end of response not read", self.start.call_id)
        self._done, self._backlog = True, None
        undecodable = self._decoder is not None and self._decoder.failed
        if undecodable:
            reading.notes = (*reading.notes, notes.UNDECODABLE)
        outcome, error = settle(
            status=self._status,
            broken=broken,
            reading=reading,
            readable=self.start.kind == "inference",
            stream=self._stream,
            undecodable=undecodable,
        )
        end = CallEnd(
            ended_ns=ended_ns,
            outcome=outcome,
            error=error,
            status_code=self._status,
            stream=self._stream if self._status is not None else None,
            first_content_ns=self._first_content_ns,
            request_bytes=self._request.size,
            response_bytes=self._response_bytes,
            reading=reading,
            items=self._items,
            response=self._facts,
        )
        self._recorder.closed(self.start.call_id, end)
        if self._captured is not None:
            self._captured.close(end)
        if self._told is not None:
            self._told(self)
