"""mitmproxy, as far as we need it: one import place, one master.

``import mitmproxy.addons`` runs the package's ``__init__``, which imports every
default addon and with them flask, ldap3 and more: 0.4 s of the 0.7 s that a
start takes. We use three addon modules, so the package is put in place bare,
with its path and without its ``__init__``, before the first import from it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
import time
import types
from collections.abc import Sequence
from typing import Any


def _import_bare(package: str) -> None:
    """Make submodules of ``package`` importable without running its ``__init__``."""
    if package in sys.modules:
        return
    parent, _, name = package.rpartition(".")
    spec = importlib.util.find_spec(parent)
    if spec is None or not spec.submodule_search_locations:
        return
    module = types.ModuleType(package)
    module.__path__ = [f"{where}/{name}" for where in spec.submodule_search_locations]
    sys.modules[package] = module


_import_bare("mitmproxy.addons")

from mitmproxy import connection, master, options  # noqa: E402 - must follow the bare package above
from mitmproxy.addons import next_layer, proxyserver, tlsconfig  # noqa: E402 - likewise
from mitmproxy.proxy import events, layers, mode_servers, mode_specs  # noqa: E402 - likewise
from mitmproxy.proxy.layers.http import HTTPMode  # noqa: E402 - likewise

from tokenproxy.config import Limits  # noqa: E402 - likewise
from tokenproxy.proxy import http1, resets, websocket  # noqa: E402 - likewise
from tokenproxy.proxy.door import Door  # noqa: E402 - likewise
from tokenproxy.proxy.reception import UNLIMITED  # noqa: E402 - likewise

http1.install()
websocket.install()

__all__ = ["IDLE_TIMEOUT_S", "Engine", "next_layer", "tlsconfig"]

logger = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 30 * 24 * 3600
"""mitmproxy closes a connection after ten silent minutes; a model may think longer."""


BOUNDED_S = 3600
"""The same where clients are not ours: here it cannot be told who waits for whom."""


class Engine(master.Master):
    """A master with only the addons it is given, for connections that it is given."""

    def __init__(
        self,
        addons: Sequence[object],
        door: Door | None = None,
        limits: Limits = UNLIMITED,
        **settings: Any,
    ) -> None:
        """Prepare.

        Args:
            addons: In their order.
            door: Is told of tunnels that the lane has let in.
            limits: What a client may cost.
            settings: Options of mitmproxy's.
        """
        super().__init__(options.Options())
        self._door = door
        self.limits = limits
        self.proxyserver = proxyserver.Proxyserver()  # type: ignore[no-untyped-call] # mitmproxy's
        self.addons.add(self.proxyserver, *addons)  # type: ignore[no-untyped-call] # mitmproxy's
        self.options.update(  # type: ignore[no-untyped-call] # mitmproxy's
            mode=["regular"],
            connection_strategy="lazy",  # a routed host may not even resolve
            upstream_cert=False,
            tcp_timeout=max(BOUNDED_S, limits.idle_s) if limits.idle_s else IDLE_TIMEOUT_S,
            validate_inbound_headers=False,  # odd headers are the two ends' business
            **settings,
        )
        self._mode = mode_specs.ProxyMode.parse("regular")

    async def start(self) -> None:
        """Be ready for connections."""
        asyncio.get_running_loop().set_exception_handler(self._asyncio_exception_handler)
        await self.running()

    async def handle(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inside: tuple[str, int] | None,
    ) -> None:
        """Serve one connection until its end.

        Args:
            reader: What comes from the client, and has come.
            writer: To the client.
            inside: The place that a tunnel leads to, if this is its inside and its TLS ends
                outside.
        """
        connection = _Connection(self, reader, writer, self.options, self._mode)
        context = connection.layer.context
        if inside is None:
            connection.layer = layers.modes.HttpProxy(context)
        else:
            # As after mitmproxy's own TLS layer: a tunnel's inside, by HTTP/1.
            context.client.tls = True
            context.client.timestamp_tls_setup = time.time()
            context.client.sni = inside[0]
            context.client.alpn_offers = (b"http/1.1",)
            context.client.alpn = b"http/1.1"
            context.server.address = inside
            if self._door is not None:
                self._door.inside.add(context.client)
                if writer.transport in self._door.relayed:
                    self._door.relayed.add(context.client)
            context.server.tls = True
            connection.layer = layers.HttpLayer(context, HTTPMode.transparent)
        with self.proxyserver.register_connection(context.client.id, connection):
            await connection.handle_client()


class _Connection(mode_servers.ProxyConnectionHandler):
    """mitmproxy's connection, with resets and without its limit of five upstreams a client.

    An HTTP/2 client may open a hundred streams; towards an HTTP/1 upstream each
    is a connection, and the sixth must not wait for the first to end.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call] # mitmproxy's
        self.max_conns.default_factory = lambda: asyncio.Semaphore(10_000)
        self._breaking = False
        """It is being told that a provider has reset its connection."""

    async def server_event(self, event: events.Event) -> None:
        """As mitmproxy's; that a provider has reset its connection is noted before."""
        if isinstance(event, events.ConnectionClosed) and event.connection is not self.client:
            io = self.transports.get(event.connection)
            reader = io.reader if io is not None else None
            if isinstance(reader, asyncio.StreamReader) and reader.exception() is not None:
                resets.broken.add(event.connection)
                self._breaking = True
        try:
            await super().server_event(event)
        finally:
            self._breaking = False

    def close_connection(self, side: connection.Connection, half_close: bool = False) -> None:  # noqa: FBT001, FBT002 - mitmproxy's
        """As mitmproxy's; by a reset, if that is how the provider's ended."""
        io = self.transports[side]
        if side is self.client and (self._breaking or side in resets.broken) and io.writer:
            io.writer = resets.Resetting(io.writer)  # type: ignore[assignment, arg-type] # all that it is asked for
            half_close = False
        super().close_connection(side, half_close)
