"""A WebSocket's tap: its messages are read, and each answer that is asked for is a call.

What the client says is read before it is sent on: a message that begins a call waits
for its journal entry, as a request does. What the provider says is read afterwards.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tokenproxy.proxy.calls import Calls
from tokenproxy.proxy.director import Target
from tokenproxy.proxy.settle import copy_of, settle
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.wire.dialect import Head, SocketDialect, SocketNews
from tokenproxy.wire.endpoints import Route
from tokenproxy.wire.framing.message import Message
from tokenproxy.wire.usage import Reading, RequestFacts

if TYPE_CHECKING:
    from tokenproxy.record.capture import Captured, Captures

logger = logging.getLogger(__name__)

SWITCHED = 101
"""The HTTP status of the answer that opened the connection: that of its calls too."""


_BLIND = "a WebSocket to %s is not read further"
"""Invariant 1: a fault of ours never harms the connection. The rows will say less."""


class _Open(msgspec.Struct):
    """A call that is under way."""

    start: CallStart
    reading: Reading
    request_bytes: int = 0
    response_bytes: int = 0
    first_content_ns: int | None = None
    captured: Captured | None = None


class _Wait:
    """Counts the journal entries that messages wait for."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self.entries = 0

    def entered(self) -> None:
        """One has been made."""
        self.entries -= 1
        if not self.entries:
            self._go_on()


class SocketTap:
    """Reads one connection. All methods run on the event loop; none raises."""

    def __init__(
        self,
        *,
        dialect: SocketDialect,
        route: Route,
        target: Target,
        request_headers: Mapping[str, str],
        response_headers: Mapping[str, str],
        calls: Calls,
        call_soon: Callable[..., object],
        captures: Captures | None = None,
    ) -> None:
        self._captures = captures
        self._route = route
        self._target = target
        self._headers = request_headers
        self._facts = dialect.read_response_headers(response_headers)
        self._parser = dialect.open_socket(
            Head(
                status=SWITCHED,
                headers=response_headers,
                operation=route.operation,
                model=route.model,
                provider=route.provider,
                first_party=target.provider == route.provider,
            )
        )
        self._calls = calls
        self._call_soon = call_soon
        self._open: dict[str, _Open] = {}
        self._blind = False

    def from_client(self, messages: Iterable[Message], go_on: Callable[[], None]) -> bool:
        """Messages that are about to be sent to the provider.

        Returns:
            True if they begin calls: they may be sent when ``go_on`` is called, once these
            are in the journal. Else it is not called.
        """
        if self._calls.closed:
            return False  # what is asked for now could not be accounted for
        wait = _Wait(go_on)
        try:
            for message in messages:
                self._read_client(message, wait)
        except Exception:
            logger.exception(_BLIND, self._target.server_address)
            self._blind = True
        return wait.entries > 0

    def _read_client(self, message: Message, wait: _Wait) -> None:
        news = None if self._blind else self._parser.client_message(message.data)
        if news is None or news.event != "begun":
            return
        begun = self._begin(news)
        begun.request_bytes = message.size
        if begun.captured is not None:
            begun.captured.asked(message.data)
        self._calls.journal(begun.start, wait.entered)
        wait.entries += 1
        self._asked(begun.start, news)

    def from_server(self, messages: Iterable[Message], arrived_ns: int) -> None:
        """Messages that were sent to the client; they came at ``arrived_ns``."""
        if self._blind:
            return
        try:
            for message in messages:
                news = self._parser.server_message(message.data)
                if news is not None:
                    self._take(news, message, arrived_ns)
        except Exception:
            logger.exception(_BLIND, self._target.server_address)
            self._blind = True

    def over(
        self, broken: str | None = None, error: str | None = None, ended_ns: int | None = None
    ) -> None:
        """The connection is over: so are the calls that it leaves open.

        Args:
            broken: which side ended it.
            error: what the provider ended it for, if it said so: some have no other word.
            ended_ns: when; now by default.
        """
        self._call_soon(self._finish_all, broken, error, ended_ns or time.time_ns())

    def _take(self, news: SocketNews, message: Message, arrived_ns: int) -> None:
        call = self._open.get(news.key)
        if call is None:
            if self._calls.closed:
                return  # it is accounted for, as it stood then
            # The provider began it by itself (a successor, an answer to speech).
            call = self._begin(news, arrived_ns)
            self._calls.recorder.opened(call.start)
            self._asked(call.start, news)
        call.reading = news.reading or call.reading
        call.response_bytes += message.size
        if call.captured is not None:
            call.captured.answered(message.data + b"\n")
        if call.first_content_ns is None and call.reading.content_started:
            call.first_content_ns = arrived_ns
        if news.event == "ended":
            self._finish(news.key, None, arrived_ns, status=news.error_status)
        elif news.changed:
            self._calls.recorder.progressed(call.start.call_id, copy_of(call.reading))

    def _begin(self, news: SocketNews, started_ns: int | None = None) -> _Open:
        if not self._open:
            self._calls.add(self)
        start = self._calls.start(self._route, self._target, self._headers, started_ns)
        call = _Open(start, news.reading or Reading())
        if self._captures is not None:
            call.captured = self._captures.open(start, self._headers, self._target.path)
        self._open[news.key] = call
        return call

    def _asked(self, start: CallStart, news: SocketNews) -> None:
        self._calls.recorder.asked(start.call_id, news.request or RequestFacts(stream=True))

    def _finish(
        self, key: str, broken: str | None, ended_ns: int, *, status: int | None = None
    ) -> None:
        call = self._open.pop(key)
        if not self._open:
            self._calls.remove(self)
        outcome, error = settle(
            status=status or SWITCHED,
            broken=broken,
            reading=call.reading,
            readable=True,
            stream=True,
        )
        end = CallEnd(
            ended_ns=ended_ns,
            outcome=outcome,
            error=error,
            status_code=status or SWITCHED,
            stream=True,
            first_content_ns=call.first_content_ns,
            request_bytes=call.request_bytes,
            response_bytes=call.response_bytes,
            reading=call.reading,
            response=self._facts,
        )
        self._calls.recorder.closed(call.start.call_id, end)
        if call.captured is not None:
            call.captured.close(end)

    def _finish_all(self, broken: str | None, error: str | None, ended_ns: int) -> None:
        try:
            if not self._blind:
                for news in self._parser.close():
                    if news.key in self._open and news.reading is not None:
                        self._open[news.key].reading = news.reading
        except Exception:
            logger.exception(_BLIND, self._target.server_address)
            self._blind = True
        for key, call in list(self._open.items()):
            reading = call.reading
            if error is not None and not reading.ended:
                reading.error = reading.error or error
                self._finish(key, None, ended_ns)
            else:
                self._finish(key, broken, ended_ns)
