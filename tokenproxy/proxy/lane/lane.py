"""What the connections of the lane share, and the door to mitmproxy."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Protocol

from tokenproxy.proxy.door import Door
from tokenproxy.proxy.lane.client import Client
from tokenproxy.proxy.lane.farewell import Farewell
from tokenproxy.proxy.lane.pipe import Tunnel
from tokenproxy.proxy.lane.trust import Leaf, ServerContexts, client_context
from tokenproxy.proxy.lane.upstream import Place, Upstream
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.tap import Tap

HTTPS_PORT = 443
LOOK_S = 1.0
"""How often it is looked for clients that take too long."""


class Handler(Protocol):
    """mitmproxy, for connections that are not for the lane."""

    @property
    def count(self) -> int:
        """How many of them it has."""
        ...

    def adopt(self, transport: asyncio.Transport, received: bytes, *, answered: bool) -> None:
        """Take over a connection.

        Args:
            transport: The client's; its protocol is replaced.
            received: What has come of it so far.
            answered: A CONNECT at its head has had its 200 already.
        """
        ...

    def adopt_opened(
        self, transport: asyncio.Transport, host: str, port: int
    ) -> asyncio.StreamReaderProtocol:
        """Take over what is inside a tunnel whose TLS ends with us.

        Args:
            transport: Takes and gives what is inside; of no TLS.
            host: Where the tunnel leads.
            port: Likewise.

        Returns:
            What is to be told what comes.
        """
        ...


class Lane:
    """The way of a listener's connections."""

    def __init__(
        self,
        reception: Reception,
        handler: Handler,
        door: Door,
        *,
        opened: Iterable[str],
        leaf: Callable[[str], Leaf],
        trusted: str | None,
        used: bool = True,
    ) -> None:
        """Prepare.

        Args:
            reception: Knows what a request is.
            handler: Gets what is not for the lane.
            door: Knows who may come in.
            opened: Patterns of ``host:port`` whose tunnels are opened.
            leaf: Makes a certificate for such a host.
            trusted: File with the authorities that providers are verified by.
            used: Otherwise every connection is the handler's: to compare the two.
        """
        self.used = used
        self.reception = reception
        self.handler = handler
        self.door = door
        self.contexts = ServerContexts(leaf)
        self.clients: set[Client | Tunnel] = set()
        self.leaving: set[Farewell] = set()
        self.retiring = False
        self.limits = reception.limits
        self._opened = re.compile("|".join(opened), re.IGNORECASE)
        self._trusted = trusted
        self._sessions: dict[tuple[Place, bool], ssl.SSLSession] = {}
        """By place and by whether ALPN was used: a session is of one context alone."""

    def __call__(self) -> Client:
        """A protocol for a connection that has come."""
        return Client(self)

    def is_full(self) -> bool:
        """Whether there are as many connections as there may be."""
        most = self.limits.connections
        return bool(most) and len(self.clients) + self.handler.count >= most

    def is_too_long(self, body: int | str) -> bool:
        """Whether a request's body is; of one in chunks that shows only as it comes."""
        most = self.limits.body_bytes
        return bool(most) and isinstance(body, int) and body > most

    async def watch(self) -> None:
        """Close connections whose clients take too long. Never ends."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = asyncio.get_running_loop().time()
            for client in list(self.clients):
                client.close_if_overdue(now)

    def close(self) -> None:
        """Wait for nobody who was turned away."""
        for farewell in list(self.leaving):
            farewell.abort()

    def retire(self) -> None:
        """Keep no connection for further requests."""
        self.retiring = True
        for client in list(self.clients):
            client.close_if_idle()

    def opens(self, host: str, port: int) -> bool:
        """Whether a tunnel to this place is opened, and may be laid at all."""
        return bool(self._opened.match(f"{host}:{port}")) and self.reception.permits(host, port)

    def passes(self, host: str, port: int) -> bool:
        """Whether a tunnel to this place is carried as it is.

        One to a literal address may turn out to lead to an opened host, and one by the
        user's own proxy is not for the lane.
        """
        if not self.reception.permits(host, port) or self._opened.match(f"{host}:{port}"):
            return False
        if port == HTTPS_PORT and is_address(host):
            return False
        return self.reception.director.via("https", host) is None

    def lay_tunnel(
        self, transport: asyncio.Transport, place: tuple[str, int], received: bytes, *, full: bool
    ) -> None:
        """Carry a client's connection to ``place`` as it is (:class:`Tunnel`)."""
        gone = self.clients.discard
        self.clients.add(Tunnel(transport, place, received, full=full, gone=gone))

    def journal(self, tap: Tap, then: Callable[[], None]) -> None:
        """Go on once the call is in the journal."""
        self.reception.calls.journal(tap.start, then)

    async def connect(self, place: Place, *, alpn: bool) -> Upstream:
        """A new connection.

        Raises:
            OSError: It cannot be had.
        """
        if not place.secure:
            return await Upstream.open(place, None, None)
        context = client_context(self._trusted, alpn=alpn)
        made = await Upstream.open(place, context, self._sessions.get((place, alpn)))
        made.alpn = alpn
        return made

    def remember(self, upstream: Upstream) -> None:
        """Keep its TLS session for the next connection to the same place."""
        if upstream.remembered:
            return
        session = upstream.session
        if session is not None and session.has_ticket:
            self._sessions[upstream.place, upstream.alpn] = session
            upstream.remembered = True


def is_address(host: str) -> bool:
    """Whether a host is named by its address, in whatever form the system takes for one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True
