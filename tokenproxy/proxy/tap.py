"""One call's tap: a copy of its bytes, read after they were sent on.

The streaming callbacks of mitmproxy run *before* a chunk is written. They
return it untouched and leave the reading to ``call_soon``: the event loop runs
that after the write. Everything the tap does is therefore late by design, and
nothing it does can hold a byte back. The order of chunks and of the end is kept
because ``call_soon`` is first in, first out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from tokenproxy.record.call import CallEnd, CallStart, Outcome
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire import decoding, notes, routes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.usage import Reading, ResponseFacts

logger = logging.getLogger(__name__)

REQUEST_LIMIT = 64 * 1024 * 1024
"""Bytes of a request kept for reading; a larger one is passed on and not read."""

CLIENT_LEFT = "client_disconnected"
UPSTREAM_LEFT = "upstream_disconnected"
UNREACHABLE = "upstream_unreachable"
STOPPED = "proxy_stopped"
MALFORMED = "malformed_response"
TRUNCATED = "stream_truncated"


class Tap:
    """Reads one call and tells the recorder. All methods run on the event loop; none raises."""

    def __init__(
        self, start: CallStart, recorder: Recorder, call_soon: Callable[..., object]
    ) -> None:
        self.start = start
        self._recorder = recorder
        self._call_soon = call_soon
        self._dialect = routes.dialect(start.dialect)
        self._request: list[bytes] | None = []
        self._asked = False
        self._request_bytes = 0
        self._request_encoding = ""
        self._status: int | None = None
        self._facts = ResponseFacts()
        self._stream = False
        self._decoder: decoding.Decoder | None = None
        self._parser: ResponseParser | None = None
        self._items: list[Reading] = []
        self._response_bytes = 0
        self._first_content_ns: int | None = None
        self._done = False

    # -- the request ------------------------------------------------------

    def request_headers(self, headers: Mapping[str, str]) -> None:
        """The request's headers, names lower-cased."""
        self._request_encoding = headers.get("content-encoding", "")

    def request_chunk(self, data: bytes) -> bytes:
        """Stream callback of the request. An HTTP/2 client may send empty pieces in between."""
        self._request_bytes += len(data)
        if self._request is not None:
            self._request.append(data)
            if self._request_bytes > REQUEST_LIMIT:
                self._request = None
        return data

    def request_over(self) -> None:
        """The request is complete."""
        self._call_soon(self._request_over)

    def _request_over(self) -> None:
        if self._asked:
            return
        self._asked = True
        chunks, self._request = self._request, None
        body = None if chunks is None else b"".join(chunks)
        self._recorder.requested(self.start.call_id, body, self._request_encoding)

    # -- the response -----------------------------------------------------

    def response_headers(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers, names lower-cased."""
        self._status = status
        content_type = headers.get("content-type", "")
        self._stream = "event-stream" in content_type
        self._facts = self._dialect.read_response_headers(headers)
        self._decoder = decoding.open_decoder(headers.get("content-encoding", ""))
        self._parser = self._dialect.open_response(
            Head(
                status=status,
                content_type=content_type,
                headers=headers,
                operation=self.start.operation,
                model=self.start.path_model,
                first_party=routes.is_first_party(self.start.provider, self.start.server_address),
            )
        )

    def response_chunk(self, data: bytes) -> bytes:
        """Stream callback of the response."""
        if data:
            self._response_bytes += len(data)
            self._call_soon(self._read, data, time.time_ns())
        return data

    def _read(self, data: bytes, arrived_ns: int) -> None:
        if self._parser is None or self._decoder is None or self._done:
            return
        try:
            decoded = self._decoder.feed(data)
            news = self._parser.feed(decoded) if decoded else False
            self._note(arrived_ns)
            if news:
                self._recorder.progressed(self.start.call_id, _copy(self._parser.reading))
        except Exception:
            # Invariant 1: a fault of ours never harms the call. The row will say less.
            logger.exception("call %s: response not read further", self.start.call_id)
            self._decoder = None

    def _note(self, arrived_ns: int) -> None:
        parser = self._parser
        if parser is None:
            return
        if self._first_content_ns is None and parser.reading.content_started:
            self._first_content_ns = arrived_ns
        if self.start.kind == "batch_results":
            self._items.extend(parser.take_items())

    # -- the end ----------------------------------------------------------

    def over(self, broken: str | None = None) -> None:
        """The exchange ended as HTTP ends, or one side broke it off: ``broken`` says which."""
        self._call_soon(self._finish, broken, time.time_ns())

    def _finish(self, broken: str | None, ended_ns: int) -> None:
        if self._done:
            return
        self._request_over()
        reading = Reading()
        try:
            if self._parser is not None:
                self._parser.close()
                self._note(ended_ns)
                reading = self._parser.reading
        except Exception:
            logger.exception("call %s: end of response not read", self.start.call_id)
        self._done = True
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
        self._recorder.closed(
            self.start.call_id,
            CallEnd(
                ended_ns=ended_ns,
                outcome=outcome,
                error=error,
                status_code=self._status,
                stream=self._stream if self._status is not None else None,
                first_content_ns=self._first_content_ns,
                request_bytes=self._request_bytes,
                response_bytes=self._response_bytes,
                reading=reading,
                items=self._items,
                response=self._facts,
            ),
        )


def settle(
    *,
    status: int | None,
    broken: str | None,
    reading: Reading,
    readable: bool,
    stream: bool,
    undecodable: bool = False,
) -> tuple[Outcome, str | None]:
    """What became of a call, and its error type.

    Args:
        status: HTTP status, None if no response began.
        broken: Which side broke the exchange off, None if HTTP ended as it should.
        reading: What the response said.
        readable: The body should have been a model's answer (not a count, not a batch file).
        stream: The response was an event stream.
        undecodable: Its encoding kept us from reading it, so that only HTTP tells its end.
    """
    # A client may hang up as soon as it has the protocol's end; that call is whole.
    if broken is not None and not reading.ended:
        return _broken_off(status, broken, reading)
    if status is None:
        return "error", UNREACHABLE
    if status >= 400:  # noqa: PLR2004 - HTTP: client and server errors begin at 400
        return "error", reading.error or f"http_{status}"
    if reading.error is not None:
        return "error", reading.error
    if readable and not reading.ended and not undecodable:
        return ("truncated", TRUNCATED) if stream else ("error", MALFORMED)
    return "complete", None


def _broken_off(status: int | None, broken: str, reading: Reading) -> tuple[Outcome, str]:
    if broken == CLIENT_LEFT:
        return "aborted", broken
    if broken == STOPPED:
        return "lost", broken
    if status is None:
        return "error", broken
    return "truncated", reading.error or broken


def _copy(reading: Reading) -> Reading:
    """A snapshot for another thread: the parser goes on writing to its own."""
    return msgspec.structs.replace(reading, usage=list(reading.usage))
