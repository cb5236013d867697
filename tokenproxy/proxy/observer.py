"""Our mitmproxy addon: sends requests their way and puts a tap on each call."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from mitmproxy import http, tls
from mitmproxy.connection import ConnectionState

from tokenproxy import ids
from tokenproxy.config import RunContext
from tokenproxy.proxy.director import LOOPBACK, Director, Target
from tokenproxy.proxy.http1 import is_absolute_form
from tokenproxy.proxy.tap import CLIENT_LEFT, STOPPED, UNREACHABLE, UPSTREAM_LEFT, Tap
from tokenproxy.record.call import CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire import routes
from tokenproxy.wire.attribution import read_attribution

logger = logging.getLogger(__name__)

JOURNAL_WAIT_S = 0.25
"""How long a request may wait for its journal entry; a stuck disk must not hold calls."""

_TAP = "tokenproxy.tap"


class Observer:
    """Directs every request and taps those that are calls."""

    def __init__(
        self,
        *,
        run: RunContext,
        director: Director,
        recorder: Recorder,
        port: int,
        upstream_proxy: str | None = None,
        warn: Callable[[str], None] = logger.warning,
    ) -> None:
        self._run = run
        self._director = director
        self._recorder = recorder
        self._port = port
        self._proxy_auth = _basic_auth(upstream_proxy)
        self._warn = warn
        self._live: set[Tap] = set()
        self._none_open = asyncio.Event()
        self._closed = asyncio.Event()

    # -- requests ---------------------------------------------------------

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Decide the way; for a call, journal it before anything goes upstream."""
        request = flow.request
        if self._closed.is_set():
            flow.kill()  # type: ignore[no-untyped-call] # mitmproxy's
            return
        request.stream = True
        target = self._target(flow)
        if target is None:
            _refuse(flow)
            return
        _redirect(flow, target)
        via = self._director.via(target.scheme, target.host)
        if via is not None:
            flow.server_conn.via = via
        if target.provider is None:
            return
        route = routes.match(target.provider, request.method, target.api_path)
        if route is None:
            return
        headers = _lower(request.headers)
        attribution = read_attribution(headers)
        start = CallStart(
            call_id=ids.uuid7(),
            trace_id=self._trace_id(attribution.turn_id),
            span_id=ids.new_span_id(),
            started_ns=time.time_ns(),
            provider=route.provider,
            dialect=route.dialect,
            operation=route.operation,
            kind=route.kind,
            server_address=target.server_address,
            server_port=target.server_port,
            attribution=attribution,
        )
        loop = asyncio.get_running_loop()
        tap = Tap(start, self._recorder, loop.call_soon)
        tap.request_headers(headers)
        flow.metadata[_TAP] = tap
        flow.request.stream = tap.request_chunk
        self._live.add(tap)
        journaled = asyncio.Event()

        def acknowledge() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(journaled.set)

        self._recorder.opened(start, acknowledge)
        try:
            await asyncio.wait_for(journaled.wait(), JOURNAL_WAIT_S)
        except TimeoutError:
            logger.warning("call %s: sent before its journal entry was written", start.call_id)
        if self._closed.is_set():
            flow.kill()  # type: ignore[no-untyped-call] # mitmproxy's

    def _target(self, flow: http.HTTPFlow) -> Target | None:
        request = flow.request
        if flow.client_conn.tls or self._named(request):
            return self._director.forward(request.scheme, request.host, request.port, request.path)
        return self._director.reverse(request.method, request.path)

    def _named(self, request: http.Request) -> bool:
        """Whether a plain request names another server than ourselves (a classic HTTP proxy's)."""
        ourselves = request.port == self._port and request.host in LOOPBACK
        return is_absolute_form(request) and not ourselves

    def _trace_id(self, turn_id: str | None) -> str:
        if not self._run.gateway:
            return self._run.trace_id
        return ids.derived_trace_id("turn", turn_id) if turn_id else ids.new_trace_id()

    def request(self, flow: http.HTTPFlow) -> None:
        """The request is complete."""
        tap = _tap(flow)
        if tap is not None:
            tap.request_over()

    # -- responses --------------------------------------------------------

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream every response; read those of calls."""
        if flow.response is None:
            return
        flow.response.stream = True  # first: whatever befalls us, nothing is held back
        tap = _tap(flow)
        if tap is None:
            return
        tap.response_headers(flow.response.status_code, _lower(flow.response.headers))
        flow.response.stream = tap.response_chunk

    def response(self, flow: http.HTTPFlow) -> None:
        """The response is complete as far as HTTP knows."""
        tap = _tap(flow)
        if tap is not None:
            self._over(tap, None)

    def error(self, flow: http.HTTPFlow) -> None:
        """One side broke off: the client, or the provider."""
        tap = _tap(flow)
        if tap is None:
            return
        # An HTTP/2 client may take back one request and stay.
        taken_back = flow.client_conn.alpn == b"h2" and flow.server_conn.connected
        if taken_back or not flow.client_conn.state & ConnectionState.CAN_READ:
            self._over(tap, CLIENT_LEFT)
        elif flow.response is None and flow.server_conn.timestamp_tcp_setup is None:
            self._over(tap, UNREACHABLE)
        else:
            self._over(tap, UPSTREAM_LEFT)

    # -- connections ------------------------------------------------------

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """Log in to the user's own proxy as its URL says."""
        if self._proxy_auth:
            flow.request.headers["Proxy-Authorization"] = self._proxy_auth

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """A client that does not trust the run's CA cannot be seen: say so."""
        host = data.context.client.sni or (data.context.server.address or ("?",))[0]
        self._warn(
            f"a program refused the run's certificate for {host}; its calls failed. "
            "Use --mode reverse for it, or see docs/security.md for the variables it may honour."
        )

    async def idle(self, timeout_s: float) -> None:
        """Wait until no call is open, but no longer than ``timeout_s``."""
        if self._live:
            self._none_open.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_open.wait(), timeout_s)

    def close(self) -> None:
        """Let no more requests through, and account for the calls that are still open."""
        self._closed.set()
        for tap in list(self._live):
            self._over(tap, STOPPED)

    def _over(self, tap: Tap, broken: str | None) -> None:
        tap.over(broken)
        self._live.discard(tap)
        if not self._live:
            self._none_open.set()


def _tap(flow: http.HTTPFlow) -> Tap | None:
    tap = flow.metadata.get(_TAP)
    return tap if isinstance(tap, Tap) else None


def _lower(headers: http.Headers) -> dict[str, str]:
    fields = headers.items()  # type: ignore[no-untyped-call] # mitmproxy's
    return {name.lower(): value for name, value in fields}


def _redirect(flow: http.HTTPFlow, target: Target) -> None:
    """Point the request at its target; one that already goes there stays byte for byte."""
    request = flow.request
    here = (request.scheme, request.host, request.port)
    if here != (target.scheme, target.host, target.port):
        request.scheme = target.scheme
        request.port = target.port
        request.host = target.host  # the setter renames the Host header too
    if request.path != target.path:
        request.path = target.path


def _refuse(flow: http.HTTPFlow) -> None:
    flow.request.stream = False
    if flow.request.path.partition("?")[0] == "/healthz":
        flow.response = http.Response.make(200, b'{"status":"ok"}\n', _JSON)
        return
    flow.response = http.Response.make(
        404,
        b'{"type":"error","error":{"type":"not_found_error","message":'
        b'"tokenproxy: this path names no provider; use /anthropic/... or a known API path"}}\n',
        _JSON,
    )


_JSON = {"content-type": "application/json"}


def _basic_auth(proxy_url: str | None) -> str | None:
    parts = urlsplit(proxy_url or "")
    if parts.username is None:
        return None
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(login.encode()).decode()
