"""Our mitmproxy addon: sends requests their way and puts a tap on each call."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from mitmproxy import http, tls
from mitmproxy.connection import ConnectionState, Server

from tokenproxy.proxy.director import LOOPBACK, Target
from tokenproxy.proxy.door import Door
from tokenproxy.proxy.http1 import break_off, is_absolute_form, is_given_up
from tokenproxy.proxy.injection import inject, removes_from, without_extra_chunk
from tokenproxy.proxy.lane.farewell import HEALTHY, UNSHOWN
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.settle import CLIENT_LEFT, UNREACHABLE, UPSTREAM_LEFT, refusal
from tokenproxy.proxy.sockets import SWITCHED, SocketTap
from tokenproxy.proxy.tap import Tap
from tokenproxy.proxy.websocket import is_left
from tokenproxy.wire.framing.message import Message

_TAP = "tokenproxy.tap"
_UPGRADE = "tokenproxy.upgrade"
_LONGEST_REASON = 200
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_INJECTED = "tokenproxy.injected"


class Observer:
    """Directs every request and taps those that are calls."""

    def __init__(
        self,
        reception: Reception,
        door: Door,
        *,
        upstream_proxy: str | None = None,
        proxy_mark: str | None = None,
    ) -> None:
        self._reception = reception
        self._door = door
        self._proxy_auth = _basic_auth(upstream_proxy)
        self._marked_auth = _basic_auth(upstream_proxy, proxy_mark)

    # -- requests ---------------------------------------------------------

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Decide the way; for a call, journal it before anything goes upstream."""
        request = flow.request
        if self._reception.closed:
            flow.kill()  # type: ignore[no-untyped-call] # mitmproxy's
            return
        if not self._lets_in(flow):
            request.stream = False
            flow.response = _unshown(request)
            return
        if self._is_forward(flow) and not self._permits(flow):
            request.stream = False
            flow.response = http.Response.make(403, _ELSEWHERE, _JSON)
            return
        if _length(request) > (self._reception.limits.body_bytes or math.inf):
            request.stream = False
            flow.response = http.Response.make(413, _TOO_LONG, _JSON)
            return
        request.stream = self._counted(flow, bytes) if self._reception.limits.body_bytes else True
        target = self._target(flow)
        if target is None:
            _refuse(flow)
            return
        _redirect(flow, target)
        via = self._reception.director.via(target.scheme, target.host)
        if via is not None:
            flow.server_conn.via = via
        headers = _lower(request.headers)
        upgrade = headers.get("upgrade", "").lower() == "websocket"
        if target.route is None or (target.route.socket and not upgrade):
            self._reception.passed(target)
        elif target.route.socket:
            # What it will carry are the calls; only a refusal is one itself.
            flow.metadata[_UPGRADE] = target, headers, time.time_ns()
        else:
            # An upgrade is an offer here: the server may leave it, and answer the call.
            await self._tap(flow, target, headers)

    async def _tap(
        self,
        flow: http.HTTPFlow,
        target: Target,
        headers: dict[str, str],
        started_ns: int | None = None,
    ) -> None:
        tap = self._reception.tap(target, headers, started_ns)
        if tap is None or target.route is None:
            return
        flow.metadata[_TAP] = tap
        flow.request.stream = self._counted(flow, tap.request_chunk)
        if self._reception.inject and target.route.usage_on_request:
            flow.request.stream = False
            flow.metadata[_INJECTED] = False
        await self._reception.calls.journaled(tap.start)
        if self._reception.closed:
            flow.kill()  # type: ignore[no-untyped-call] # mitmproxy's

    def _target(self, flow: http.HTTPFlow) -> Target | None:
        request = flow.request
        if self._is_forward(flow):
            return self._reception.director.forward(
                request.scheme,
                request.host,
                request.port,
                request.method,
                request.path,
                relayed=flow.client_conn in self._door.relayed,
            )
        return self._reception.director.reverse(request.method, request.path)

    def _is_forward(self, flow: http.HTTPFlow) -> bool:
        """Whether the client named the server, rather than us."""
        return flow.client_conn.tls or self._named(flow.request)

    def _counted(
        self, flow: http.HTTPFlow, chunk: Callable[[bytes], bytes]
    ) -> Callable[[bytes], bytes]:
        """``chunk``, until a body that came in chunks is longer than it may be."""
        left = self._reception.limits.body_bytes
        if not left:
            return chunk

        def count(data: bytes) -> bytes:
            nonlocal left
            left -= len(data)
            if left < 0:
                break_off(flow)
            return chunk(data)

        return count

    def _lets_in(self, flow: http.HTTPFlow) -> bool:
        """Whether the request shows what it must; it is taken off."""
        request = flow.request
        if not self._door.asks or _is_health(request):
            return True
        if flow.client_conn in self._door.inside:
            self._door.take_off(request.headers)
            return True
        path = self._door.let_in_request(request.path, request.headers)
        if path is None:
            return False
        if path != request.path:
            request.path = path
        return True

    def _permits(self, flow: http.HTTPFlow) -> bool:
        """Whether a client may go there, by whatever name it says that it does."""
        request, host = flow.request, flow.request.host
        said = request.headers.get_all("host")
        names = (*said, request.authority or None, flow.client_conn.sni)
        return self._reception.permits(host, request.port) and all(
            self._reception.permits_name(name, host) for name in names if name is not None
        )

    def _named(self, request: http.Request) -> bool:
        """Whether a plain request names another server than ourselves (a classic HTTP proxy's)."""
        ourselves = request.port == self._reception.port and request.host in LOOPBACK
        return is_absolute_form(request) and not ourselves

    def request(self, flow: http.HTTPFlow) -> None:
        """The request is complete."""
        tap = _tap(flow)
        if tap is None:
            return
        if _INJECTED in flow.metadata:
            tap.request_chunk(flow.request.raw_content or b"")
            flow.metadata[_INJECTED] = inject(flow.request)
        tap.request_over()

    # -- responses --------------------------------------------------------

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream every response; read those of calls."""
        if flow.response is None:
            return
        flow.response.stream = True  # first: whatever befalls us, nothing is held back
        if flow.response.status_code != SWITCHED:
            await self._refused(flow)
        tap = _tap(flow)
        if tap is None:
            return
        tap.response_headers(flow.response.status_code, _lower(flow.response.headers))
        flow.response.stream = tap.response_chunk
        if flow.metadata.get(_INJECTED) and removes_from(flow.response):
            flow.response.stream = without_extra_chunk(tap.response_chunk)

    async def _refused(self, flow: http.HTTPFlow) -> None:
        """A WebSocket that was asked for and not opened: an attempt that failed."""
        upgrade = flow.metadata.pop(_UPGRADE, None)
        if upgrade is not None:
            await self._tap(flow, *upgrade)

    def response(self, flow: http.HTTPFlow) -> None:
        """The response is complete as far as HTTP knows."""
        tap = _tap(flow)
        if tap is not None:
            self._over(tap, None)

    async def error(self, flow: http.HTTPFlow) -> None:
        """One side broke off: the client, or the provider."""
        if flow.websocket is None:
            await self._refused(flow)
        tap = _tap(flow)
        if tap is None:
            return
        if is_given_up(flow) or not flow.client_conn.state & ConnectionState.CAN_READ:
            self._over(tap, CLIENT_LEFT)
        elif flow.response is None and not _is_connected(flow.server_conn):
            self._reception.warn(_why_not(flow, tap.start.server_address))
            self._over(tap, UNREACHABLE)
        else:
            self._over(tap, UPSTREAM_LEFT)

    # -- WebSockets -------------------------------------------------------

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """The provider agreed: tap the connection."""
        upgrade = flow.metadata.pop(_UPGRADE, None)
        if upgrade is None or flow.response is None:
            return
        target, headers, _ = upgrade
        tap = self._reception.socket_tap(target, headers, _lower(flow.response.headers))
        if tap is not None:
            flow.metadata[_TAP] = tap

    async def websocket_message(self, flow: http.HTTPFlow) -> None:
        """A whole message, before it is sent on."""
        if flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        flow.websocket.messages.clear()  # mitmproxy would keep them all
        tap = flow.metadata.get(_TAP)
        if not isinstance(tap, SocketTap):
            return
        # As the lane reads it: a large message is reduced.
        read = Message.of(message.content, outlines=message.from_client)
        if message.from_client:
            journaled = asyncio.Event()
            if tap.from_client([read], journaled.set):
                await journaled.wait()
            if self._reception.closed:
                message.drop()  # type: ignore[no-untyped-call] # mitmproxy's
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon(tap.from_server, [read], time.time_ns())  # after it was sent

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """The connection is over."""
        tap = flow.metadata.get(_TAP)
        if not isinstance(tap, SocketTap) or flow.websocket is None:
            return
        if flow.websocket.closed_by_client or is_left(flow):
            tap.over(CLIENT_LEFT)
        else:
            tap.over(UPSTREAM_LEFT, refusal(flow.websocket.close_code))

    # -- connections ------------------------------------------------------

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuse a tunnel to where a client may not go."""
        login = flow.request.headers.get("proxy-authorization", "")
        if self._door.is_runs_login(login.encode("utf-8", "surrogateescape")):
            self._door.relayed.add(flow.client_conn)
        if not self._lets_in(flow):
            flow.response = _unshown(flow.request)
        elif not self._reception.permits(flow.request.host, flow.request.port):
            flow.response = http.Response.make(403, _ELSEWHERE, _JSON)
        else:
            self._door.inside.add(flow.client_conn)

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """Log in to the user's own proxy as its URL says; to one of ours so that it stands back."""
        unread = flow.client_conn in self._door.unread
        if login := self._proxy_auth if unread else self._marked_auth:
            flow.request.headers["Proxy-Authorization"] = login

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """A client that does not trust the run's CA cannot be seen: say so."""
        self._reception.untrusted(
            data.context.client.sni or (data.context.server.address or ("?",))[0]
        )

    def _over(self, tap: Tap, broken: str | None) -> None:
        self._reception.over(tap, broken)


def _is_connected(server: Server) -> bool:
    """Whether a connection was made, its TLS included where it was to have one."""
    return server.timestamp_tcp_setup is not None and (not server.tls or server.tls_established)


def _why_not(flow: http.HTTPFlow, host: str) -> str:
    """Why a provider cannot be reached: the client is only told that nobody answers."""
    reason = flow.server_conn.error or (flow.error.msg if flow.error else "")
    address = flow.server_conn.address
    way = f" at {address[0]}:{address[1]}" if address and address[0] != host else ""
    words = _ERRNO.sub("", " ".join(reason.split()))[:_LONGEST_REASON]
    return f"{host}{way} could not be reached: {words}"


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
        if ":" in target.host and request.host_header:
            # but leaves out an IPv6 address's brackets; servers refuse that
            request.host_header = f"[{target.host}]:{target.port}"
    if request.path != target.path:
        request.path = target.path


def _refuse(flow: http.HTTPFlow) -> None:
    flow.request.stream = False
    if _is_health(flow.request):
        body = HEALTHY if flow.request.method == "GET" else b""
        flow.response = http.Response.make(200, body, _JSON)
        return
    flow.response = http.Response.make(
        404,
        b'{"type":"error","error":{"type":"not_found_error","message":'
        b'"tokenproxy: this path names no provider; use /anthropic/... or a known API path"}}\n',
        _JSON,
    )


def _is_health(request: http.Request) -> bool:
    return request.method in ("GET", "HEAD") and request.path.partition("?")[0] == "/healthz"


def _unshown(request: http.Request) -> http.Response:
    """What a request gets that does not show the secret."""
    error = {"type": "authentication_error", "message": f"tokenproxy: {UNSHOWN}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    if request.method != "CONNECT" and not is_absolute_form(request):
        return http.Response.make(401, body, _JSON)
    return http.Response.make(
        407, body, {**_JSON, "Proxy-Authenticate": 'Basic realm="tokenproxy"'}
    )


def _length(request: http.Request) -> int:
    """What a request says how long its body is."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() else 0


_TOO_LONG = (
    b'{"type":"error","error":{"type":"request_too_large","message":'
    b'"tokenproxy: the request\'s body is too long (--max-body)"}}\n'
)
_ELSEWHERE = (
    b'{"type":"error","error":{"type":"permission_error","message":'
    b'"tokenproxy: this listener serves model APIs alone; go to other hosts without it"}}\n'
)
_JSON = {"content-type": "application/json"}


def _basic_auth(proxy_url: str | None, name: str | None = None) -> str | None:
    """A login as a proxy's URL has it, or with another user's name; None where there is none."""
    parts = urlsplit(proxy_url or "")
    if name is None and parts.username is None:
        return None
    login = f"{name or unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(login.encode()).decode()
