"""A gateway in a thread of its own, with a recorder that only remembers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tokenproxy.config import Admission, Limits, ProxyConfig, RunContext
from tokenproxy.launch.authority import make_authority
from tokenproxy.proxy.gateway import Gateway
from tokenproxy.proxy.process import run_loop
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire.usage import Reading, RequestFacts

RUN = RunContext(run_id="run", trace_id="a" * 32, span_id="b" * 16, started_ns=1)


@dataclass
class Remembered(Recorder):
    """Stands where the recorder stands; keeps what it is told."""

    starts: dict[str, CallStart] = field(default_factory=dict)
    bodies: dict[str, bytes | None] = field(default_factory=dict)
    encodings: dict[str, str] = field(default_factory=dict)
    progress: list[tuple[str, Reading]] = field(default_factory=list)
    ends: dict[str, CallEnd] = field(default_factory=dict)
    asks: dict[str, RequestFacts] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    ack_delay_s: float = 0.0
    acks: list[threading.Timer] = field(default_factory=list)
    crowded: bool = False

    def opened(self, start: CallStart, ack: Callable[[], None] | None = None) -> None:
        self.starts[start.call_id] = start
        if ack is not None:
            self.acks.append(threading.Timer(self.ack_delay_s, ack))
            self.acks[-1].start()

    def requested(self, call_id: str, body: bytes | None, encoding: str = "") -> None:
        self.bodies[call_id] = body
        self.encodings[call_id] = encoding

    def asked(self, call_id: str, request: RequestFacts) -> None:
        self.asks[call_id] = request

    def passed(self, provider: str, server_address: str) -> None:
        self.unread.append((provider, server_address))

    def progressed(self, call_id: str, reading: Reading) -> None:
        self.progress.append((call_id, reading))

    def closed(self, call_id: str, end: CallEnd) -> None:
        self.ends[call_id] = end

    def wait(self, count: int = 1, timeout_s: float = 5.0) -> list[tuple[CallStart, CallEnd]]:
        """The first ``count`` finished calls; fails the test if they do not come."""
        deadline = time.monotonic() + timeout_s
        while len(self.ends) < count:
            assert time.monotonic() < deadline, f"{len(self.ends)} of {count} calls ended"
            time.sleep(0.005)
        return [(self.starts[key], end) for key, end in self.ends.items()]


class Proxy:
    """``with Proxy(routes=...) as proxy:`` serves on ``proxy.port`` until the block ends."""

    lane = True
    """Unless a proxy is told otherwise."""

    def __init__(
        self,
        *,
        hosts: tuple[str, ...] = ("api.anthropic.com",),
        routes: Mapping[str, str] | None = None,
        upstreams: Mapping[str, str] | None = None,
        upstream_proxy: str | None = None,
        upstream_ca: str | None = None,
        gateway: bool = False,
        only_opened: bool = False,
        inject_include_usage: bool = False,
        admission: Admission | None = None,
        limits: Limits | None = None,
        run_mark: str | None = None,
        recorder: Recorder | None = None,
        lane: bool | None = None,
    ) -> None:
        authority = make_authority(hosts)
        self.ca_pem = authority.cert_pem
        self.config = ProxyConfig(
            run=RunContext(
                run_id="run", trace_id="a" * 32, span_id="b" * 16, started_ns=1, gateway=gateway
            ),
            ledger="",
            run_dir="",
            listen_fd=-1,
            intercept_hosts=hosts,
            routes=dict(routes or {}),
            upstreams=dict(upstreams or {}),
            upstream_proxy=upstream_proxy,
            upstream_ca=upstream_ca,
            only_opened=only_opened,
            inject_include_usage=inject_include_usage,
            admission=admission or Admission(),
            limits=limits or Limits(),
            run_mark=run_mark,
            ca_cert_pem=authority.cert_pem,
            ca_key_pem=authority.key_pem,
        )
        self.lane = self._lane = self.lane if lane is None else lane
        self.recorder = Remembered()
        self._account = recorder or self.recorder
        self.warnings: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._close: Callable[[], object] = lambda: None
        self._closed = False
        self.relayed: Callable[[], int] = lambda: 0
        self.clients: Collection[object] = ()
        """Connections that the lane has."""
        self.leaving: Collection[object] = ()
        """Those that it has turned away."""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def main() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            self._stop = lambda: loop.call_soon_threadsafe(stop.set)
            gateway = Gateway(
                self.config,
                self._account,
                listener=self._listener,
                warn=self.warnings.append,
                lane=self._lane,
            )
            self.relayed = lambda: gateway.relayed
            self.clients = gateway._lane.clients
            self.leaving = gateway._lane.leaving
            await gateway.start(self._listener)
            self._close = lambda: asyncio.run_coroutine_threadsafe(gateway.stop(0), loop).result(5)
            self._ready.set()
            await stop.wait()
            if not self._closed:
                await gateway.stop(0.2)

        run_loop(main())

    def close_account(self) -> None:
        """What the process does at its end, before the connections are gone."""
        self._closed = True
        self._close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._listener.close()
        for ack in self.recorder.acks:
            ack.cancel()
