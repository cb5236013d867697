"""Which connections are opened and which are tunnelled unopened."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitmproxy.proxy import commands, context, events, layer, layers, tunnel
from mitmproxy.proxy.layers.http import _upstream_proxy

from tokenproxy.proxy.door import Door
from tokenproxy.proxy.engine import next_layer
from tokenproxy.proxy.reception import Reception


class Tunnels(next_layer.NextLayer):
    """mitmproxy's protocol detection; unopened tunnels take the user's own proxy too."""

    name = "nextlayer"
    """By which mitmproxy looks for it."""

    def __init__(self, reception: Reception, door: Door) -> None:
        self._reception = reception
        self._door = door

    def _next_layer(
        self, context: context.Context, data_client: bytes, data_server: bytes
    ) -> layer.Layer | None:
        chosen = super()._next_layer(context, data_client, data_server)
        address = context.server.address
        if not isinstance(chosen, layers.TCPLayer) or not address:
            return chosen
        if not self._reception.serves_all:
            return _Nothing(context)  # what it carries cannot be seen
        via = self._reception.director.via("https", address[0])
        if via is None:
            return chosen
        self._door.unread.add(context.client)
        context.server.via = via
        stack = tunnel.LayerStack()
        stack /= _upstream_proxy.HttpUpstreamProxy.make(context, send_connect=True)
        stack /= chosen
        return stack[0]


class _Nothing(layer.Layer):
    """The end of a connection."""

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)
