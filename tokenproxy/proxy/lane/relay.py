"""What an exchange becomes when both sides speak WebSocket: bytes both ways, as they come."""

from __future__ import annotations

import time
from typing import Protocol

from tokenproxy.proxy.lane.listener import Listener
from tokenproxy.proxy.lane.upstream import Upstream
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.settle import CLIENT_LEFT, UPSTREAM_LEFT


class Near(Protocol):
    """The client's connection, as its relay sees it."""

    full: bool
    """Whether it takes no more for now."""

    def write(self, data: bytes) -> None:
        """Send to the client."""
        ...

    def write_eof(self) -> bool:
        """Send no more, but listen; False if that cannot be."""
        ...

    def close(self, *, whole: bool, reset: bool = False) -> None:
        """Close, when what was written has gone; ``whole``: that was all there is."""
        ...

    def pause_reading(self) -> None:
        """Take no more from it for now."""
        ...

    def resume_reading(self) -> None:
        """Take more."""
        ...


class Relay:
    """Carries both directions of one connection, and shows a listener a copy.

    To the client's connection it is an exchange whose request never ends.
    """

    request_over = False

    def __init__(
        self, client: Near, upstream: Upstream, listener: Listener | None, reception: Reception
    ) -> None:
        """Begin.

        Args:
            client: The client's end.
            upstream: The provider's; from now on it is ours.
            listener: Hears what carries calls; None: it carries none.
            reception: Knows when the account is closed.
        """
        self._client = client
        self._upstream = upstream
        self._listener = listener
        self._reception = reception
        self._held: list[bytes] = []
        """From the client, behind what waits for the journal."""
        self._waits = 0
        self._full = False
        """The provider takes no more for now."""
        self._halves: set[str] = set()
        """Who sends no more."""
        self._over = False
        upstream.receiver = upstream.half_closer = self

    # -- from the client ------------------------------------------------------

    def feed(self, data: bytes) -> int:
        """Bytes from the client: all of them are ours."""
        if self._listener is not None:
            if self._reception.closed:
                self._stop()
                return len(data)
            if self._listener.from_client(data, self._go_on):
                if not self._waits:
                    self._client.pause_reading()
                self._waits += 1
        if self._waits:
            self._held.append(data)
        else:
            self._upstream.write(data)
        return len(data)

    def _go_on(self) -> None:
        """What the client waits for is in the journal."""
        self._waits -= 1
        if self._waits or self._over:
            return
        if self._reception.closed:
            self._stop()
            return
        held, self._held = b"".join(self._held), []
        if not self._full:
            self._client.resume_reading()
        self._upstream.write(held)  # last: it may ask the client to wait
        if "client" in self._halves:
            self._upstream.write_eof()

    def _stop(self) -> None:
        """What is asked for now could not be accounted for, so it must not go on."""
        self._end()
        self._client.close(whole=False)

    def client_sends_no_more(self) -> bool:
        """The client has closed its half; whether its other half goes on."""
        if self._listener is not None:
            self._listener.client_leaves()
        if "upstream" in self._halves or not self._upstream.can_write_eof():
            return False
        self._halves.add("client")
        if not self._waits:
            self._upstream.write_eof()
        return True

    def client_left(self) -> None:
        """The client's connection is gone."""
        if not self._over:
            self._end()
            if self._listener is not None:
                self._listener.over(CLIENT_LEFT)

    # -- from the provider ----------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes from the provider."""
        if self._listener is None:
            self._client.write(data)
            return
        arrived_ns = time.time_ns()  # before the client can have it
        self._client.write(data)
        self._listener.from_server(data, arrived_ns)

    def upstream_sends_no_more(self) -> None:
        """The provider has closed its half."""
        if self._listener is not None:
            self._listener.over(UPSTREAM_LEFT)
        if "client" in self._halves or not self._client.write_eof():
            self._client.close(whole=True)
        else:
            self._halves.add("upstream")

    def upstream_ended(self, *, broken: bool, reset: bool) -> None:
        """The provider's connection is gone."""
        if self._listener is not None:
            self._listener.over(UPSTREAM_LEFT)
        self._over = True
        self._client.close(whole=not broken, reset=reset)

    # -- both -----------------------------------------------------------------

    def pause_client(self) -> None:
        """The provider takes no more for now."""
        self._full = True
        self._client.pause_reading()

    def resume_client(self) -> None:
        """It does again."""
        self._full = False
        if not self._waits:
            self._client.resume_reading()

    def pause_upstream(self) -> None:
        """The client takes no more for now."""
        self._upstream.pause_reading()

    def resume_upstream(self) -> None:
        """It does again."""
        self._upstream.resume_reading()

    def _end(self) -> None:
        self._over = True
        self._upstream.close()
