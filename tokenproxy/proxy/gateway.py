"""The assembled proxy: lane, engine, director, authority, observer on one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tokenproxy.config import ProxyConfig
from tokenproxy.proxy.engine import Engine

# The engine comes first: it puts mitmproxy's addon package in place.
from tokenproxy.proxy.authority import RunAuthority  # isort: skip
from tokenproxy.proxy.director import Director
from tokenproxy.proxy.lane.lane import Lane
from tokenproxy.proxy.observer import Observer
from tokenproxy.proxy.reception import Reception
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
        lane: bool = True,
    ) -> None:
        """Assemble.

        Args:
            config: What to do.
            recorder: Gets the calls.
            port: Ours.
            warn: Takes a sentence for the user.
            lane: Whether everyday exchanges take the short way; mitmproxy's, if not.
        """
        director = Director(
            routes=config.routes,
            upstreams=config.upstreams,
            gateway_hosts=config.gateway_hosts,
            upstream_proxy=config.upstream_proxy,
            no_proxy=config.no_proxy,
        )
        self._reception = Reception(
            run=config.run,
            director=director,
            recorder=recorder,
            port=port,
            inject_include_usage=config.inject_include_usage,
            only=host_patterns(config.intercept_hosts) if config.only_opened else None,
            warn=warn,
        )
        opened = host_patterns(config.intercept_hosts if config.ca_cert_pem else ())
        authority = RunAuthority(config.ca_cert_pem, config.ca_key_pem)
        self._engine = Engine(
            [
                Tunnels(director),
                authority,
                Observer(self._reception, upstream_proxy=config.upstream_proxy),
            ],
            allow_hosts=opened,
            ssl_verify_upstream_trusted_ca=config.upstream_ca,
        )
        self._lane = Lane(
            self._reception,
            self._engine,
            opened=opened,
            leaf=authority.leaf,
            trusted=config.upstream_ca,
            used=lane,
        )
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on ``listener``."""
        await self._engine.start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._lane, sock=listener)

    async def stop(self, drain_s: float) -> None:
        """Let open calls end for at most ``drain_s`` seconds, then account for them as they are.

        Connections that are open stay so until the process ends, but nothing that comes
        on them afterwards goes upstream: it could not be accounted for.
        """
        if self._server is not None:
            self._server.close()
        await self._reception.idle(drain_s)
        self._reception.close()
        await asyncio.sleep(0)  # the taps end in the loop's next turn
        await self._engine.done()
