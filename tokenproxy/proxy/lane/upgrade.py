"""A request for a WebSocket: an exchange that may end as a relay."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from tokenproxy.proxy.director import Target
from tokenproxy.proxy.lane.exchange import Asker, Exchange
from tokenproxy.proxy.lane.head import RequestHead, ResponseHead
from tokenproxy.proxy.lane.listener import Listener
from tokenproxy.proxy.lane.relay import Near, Relay
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.tap import Tap

logger = logging.getLogger(__name__)


class Upgrader(Asker, Near, Protocol):
    """The client's connection."""

    def switched(self, relay: Relay) -> None:
        """Its exchange goes on as ``relay``."""
        ...


class Upgrade(Exchange):
    """What the connection will carry are the calls; only a refusal is one itself."""

    def __init__(
        self,
        client: Upgrader,
        reception: Reception,
        head: RequestHead,
        target: Target,
        tap: Tap | None,
    ) -> None:
        super().__init__(client, reception, head, target, tap)
        self._upgrader = client
        self._begun_ns = time.time_ns()
        route = target.route
        self._pending = route is not None and route.socket
        """Its refusal would be a call."""

    def _tell(self, head: ResponseHead) -> None:
        self._refused()
        super()._tell(head)

    def _settle(self, broken: str | None) -> None:
        self._refused()
        super()._settle(broken)

    def _refused(self) -> None:
        """No connection was opened: an attempt that failed."""
        pending, self._pending = self._pending, False
        if not pending or self._reception.closed:
            return
        self._tap = self._reception.tap(self._target, self._head.fields, self._begun_ns)
        if self._tap is not None:
            # It has been sent already, so nothing waits for the journal.
            self._reception.recorder.opened(self._tap.start)

    def _switch(self, head: ResponseHead, raw: bytes, rest: bytes) -> None:
        upstream, self._upstream = self._upstream, None
        assert upstream is not None  # noqa: S101 - for the type checker; this came by it
        self._pending, self._over = False, True
        self._tell(head)
        self._settle(None)  # of a call, this was all that HTTP has to say
        listener = None
        if head.fields.get("upgrade", "").lower() == "websocket":
            listener = self._listener(head)
        self._client.write(raw)
        relay = Relay(self._upgrader, upstream, listener, self._reception)
        self._upgrader.switched(relay)
        if rest:
            relay.received(rest)

    def _listener(self, head: ResponseHead) -> Listener | None:
        """Who hears what the connection carries; None if that is no calls."""
        extensions = head.fields.get("sec-websocket-extensions", "")
        address = self._target.server_address
        try:
            tap = self._reception.socket_tap(self._target, self._head.fields, head.fields)
            if tap is None:
                return None
            return Listener(tap, extensions, address, asyncio.get_running_loop().call_soon)
        except Exception:
            # Invariant 1: a fault of ours never harms the connection. It leaves no rows.
            logger.exception("a WebSocket to %s is not read", address)
            return None
