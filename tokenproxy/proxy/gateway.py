"""The assembled proxy: engine, director, authority, observer on one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tokenproxy.config import ProxyConfig
from tokenproxy.proxy.engine import Engine

# The engine comes first: it puts mitmproxy's addon package in place.
from tokenproxy.proxy.authority import RunAuthority  # isort: skip
from tokenproxy.proxy.director import Director
from tokenproxy.proxy.observer import Observer
from tokenproxy.proxy.tunnel import Tunnels, host_patterns
from tokenproxy.record.recorder import Recorder


class Gateway:
    """Everything between a listening socket and the recorder."""

    def __init__(
        self,
        config: ProxyConfig,
        recorder: Recorder,
        *,
        port: int,
        warn: Callable[[str], None],
    ) -> None:
        director = Director(
            routes=config.routes,
            upstreams=config.upstreams,
            gateway_hosts=config.gateway_hosts,
            upstream_proxy=config.upstream_proxy,
            no_proxy=config.no_proxy,
        )
        self._observer = Observer(
            run=config.run,
            director=director,
            recorder=recorder,
            port=port,
            upstream_proxy=config.upstream_proxy,
            inject_include_usage=config.inject_include_usage,
            only=host_patterns(config.intercept_hosts) if config.only_opened else None,
            warn=warn,
        )
        opened = config.intercept_hosts if config.ca_cert_pem else ()
        self._engine = Engine(
            [
                Tunnels(director),
                RunAuthority(config.ca_cert_pem, config.ca_key_pem),
                self._observer,
            ],
            allow_hosts=host_patterns(opened),
            ssl_verify_upstream_trusted_ca=config.upstream_ca,
        )
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on ``listener``."""
        self._server = await self._engine.serve(listener)

    async def stop(self, drain_s: float) -> None:
        """Let open calls end for at most ``drain_s`` seconds, then account for them as they are.

        Connections that are open stay so until the process ends, but nothing that comes
        on them afterwards goes upstream: it could not be accounted for.
        """
        if self._server is not None:
            self._server.close()
        await self._observer.idle(drain_s)
        self._observer.close()
        await asyncio.sleep(0)  # the taps end in the loop's next turn
        await self._engine.done()
