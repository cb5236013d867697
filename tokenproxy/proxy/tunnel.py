"""Which connections are opened and which are tunnelled unopened."""

from __future__ import annotations

from mitmproxy.proxy import context, layer, layers, tunnel
from mitmproxy.proxy.layers.http import _upstream_proxy

from tokenproxy.proxy.director import Director
from tokenproxy.proxy.engine import next_layer


class Tunnels(next_layer.NextLayer):
    """mitmproxy's protocol detection; unopened tunnels take the user's own proxy too."""

    name = "nextlayer"
    """By which mitmproxy looks for it."""

    def __init__(self, director: Director) -> None:
        self._director = director

    def _next_layer(
        self, context: context.Context, data_client: bytes, data_server: bytes
    ) -> layer.Layer | None:
        chosen = super()._next_layer(context, data_client, data_server)
        address = context.server.address
        if not isinstance(chosen, layers.TCPLayer) or not address:
            return chosen
        via = self._director.via("https", address[0])
        if via is None:
            return chosen
        context.server.via = via
        stack = tunnel.LayerStack()
        stack /= _upstream_proxy.HttpUpstreamProxy.make(context, send_connect=True)
        stack /= chosen
        return stack[0]
