"""The assembled proxy: the lane, and mitmproxy behind it, on one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tokenproxy.config import ProxyConfig
from tokenproxy.proxy.director import Director
from tokenproxy.proxy.door import Door
from tokenproxy.proxy.handover import Handover
from tokenproxy.proxy.hosts import host_patterns
from tokenproxy.proxy.lane.lane import Lane
from tokenproxy.proxy.lane.leaf import Leaves
from tokenproxy.proxy.reception import UNLIMITED, Reception
from tokenproxy.record.recorder import Recorder

if TYPE_CHECKING:
    from tokenproxy.proxy.engine import Engine
    from tokenproxy.record.capture import Captures


LOOK_AGAIN_S = 0.1
UNUSED_S = 30.0
"""How long a connection without a call may keep a process that has a successor."""


class Gateway:
    """Everything between a listening socket and the recorder."""

    def __init__(
        self,
        config: ProxyConfig,
        recorder: Recorder,
        *,
        listener: socket.socket,
        warn: Callable[[str], None],
        lane: bool = True,
        captures: Captures | None = None,
    ) -> None:
        """Assemble.

        Args:
            config: What to do.
            recorder: Gets the calls.
            listener: The socket that :meth:`start` will accept connections on.
            warn: Takes a sentence for the user.
            lane: Whether everyday exchanges take the short way; mitmproxy's, if not.
            captures: Keeps the calls' bodies, where that is asked for.

        Raises:
            OSError: The kernel does not tell users apart, as it is asked to.
        """
        director = Director(
            routes=config.routes,
            upstreams=config.upstreams,
            gateway_hosts=config.gateway_hosts,
            upstream_proxy=config.upstream_proxy,
            no_proxy=config.no_proxy,
            leads=config.leads,
            run_mark=config.run_mark,
        )
        self._reception = Reception(
            run=config.run,
            director=director,
            recorder=recorder,
            port=listener.getsockname()[1],
            inject_include_usage=config.inject_include_usage,
            only=host_patterns(config.intercept_hosts) if config.only_opened else None,
            limits=config.limits,
            warn=warn,
            captures=captures,
        )
        door = Door(config.admission, listener, warn, run_mark=config.run_mark)
        opened = host_patterns(config.intercept_hosts if config.ca_cert_pem else ())
        self._handover = Handover(lambda: _load_other_way(config, self._reception, door, opened))
        self._lane = Lane(
            self._reception,
            self._handover,
            door,
            opened=opened,
            leaf=Leaves(config.ca_cert_pem or "", config.ca_key_pem or ""),
            trusted=config.upstream_ca,
            used=lane,
        )
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        """Kept, because the event loop itself holds tasks weakly."""

    @property
    def relayed(self) -> int:
        """Requests so far that runs in front of this gateway record."""
        return self._reception.relayed

    async def start(self, listener: socket.socket) -> None:
        """Accept connections on ``listener``."""
        loop = asyncio.get_running_loop()
        if self._reception.limits != UNLIMITED:
            self._watch = loop.create_task(self._lane.watch())
        self._server = await loop.create_server(self._lane, sock=listener)

    async def retire(self, timeout_s: float) -> None:
        """Accept no more, and wait until all that are here have what they came for."""
        if self._server is not None:
            self._server.close()
        self._lane.retire()
        loop = asyncio.get_running_loop()
        limit, busy = loop.time() + timeout_s, loop.time()
        while (now := loop.time()) < limit and (self._lane.clients or self._handover.count):
            if self._lane.clients or self._reception.calls.any_open:
                busy = now
            elif now - busy > UNUSED_S:
                return  # mitmproxy has connections that carry no call
            await asyncio.sleep(LOOK_AGAIN_S)

    async def stop(self, drain_s: float) -> None:
        """Let open calls end for at most ``drain_s`` seconds, then account for them as they are.

        Connections that are open stay so until the process ends, but nothing that comes
        on them afterwards goes upstream: it could not be accounted for.
        """
        if self._server is not None:
            self._server.close()
        await self._reception.idle(drain_s)
        self._reception.close()
        self._lane.close()
        await asyncio.sleep(0)  # the taps end in the loop's next turn
        await self._handover.stop()


def _load_other_way(
    config: ProxyConfig, reception: Reception, door: Door, opened: Sequence[str]
) -> Callable[[], Engine]:
    from tokenproxy.proxy.other_way import make_engine

    return lambda: make_engine(config, reception, door, opened)
