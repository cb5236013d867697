"""Where a request goes, and what it is: the address that gets it, the call that it makes.

One listener speaks both ways. A request that came through CONNECT already
names its host (forward). One that was sent to us as to a server is told apart
by its path (reverse): ``/anthropic/v1/messages`` names the provider,
``/v1/messages`` implies it.

Whose host it is decides how a request is read, whatever variable led there: an
``OPENAI_BASE_URL`` that names DeepSeek makes DeepSeek's calls. A host that is
nobody's is a gateway, and read by its paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tokenproxy.no_proxy import hides
from tokenproxy.proxy.hosts import on_the_wire
from tokenproxy.wire import routes

type Via = tuple[Literal["http", "https"], tuple[str, int]]
"""A proxy on the way: scheme and address, as mitmproxy wants it."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One request's way upstream."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query as sent upstream."""
    route: routes.Route | None
    """None: no model call; pass through."""
    provider: str | None
    """The ledger's name of whose host it is; None: nobody's that we know."""
    server_address: str
    """The provider's own host, whatever the route."""
    server_port: int
    relayed: bool = False
    """A run in front of this gateway records it: it is none of our calls, whatever it is."""


class Base(msgspec.Struct, frozen=True):
    """A base URL taken apart."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    prefix: str
    """Path prefix without trailing slash."""

    @classmethod
    def parse(cls, url: str) -> Base:
        """Take ``url`` apart; ValueError unless it is http(s) with a host."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http(s) URL: {url!r}")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return cls("https" if secure else "http", parts.hostname, port, parts.path.rstrip("/"))


KNOWN_WAYS = 256
"""Ways that are kept in mind."""
KNOWN_PATH = 512
"""Longest path, with its query, whose way is."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_ANY_MARK = re.compile(r"/~run-[0-9a-f]{32}(?=/)")
"""What a run shows to a gateway, ours or not (:mod:`tokenproxy.launch.gateways`)."""


class Director:
    """Knows the routes of a run."""

    def __init__(
        self,
        *,
        routes: Mapping[str, str],
        upstreams: Mapping[str, str],
        gateway_hosts: Mapping[str, str],
        upstream_proxy: str | None = None,
        no_proxy: Iterable[str] = (),
        leads: Mapping[str, str] | None = None,
        run_mark: str | None = None,
    ) -> None:
        self._routes = {host.lower(): Base.parse(url) for host, url in routes.items()}
        self._upstreams = {name: Base.parse(url) for name, url in upstreams.items()}
        self._gateway_hosts = {host.lower(): name for host, name in gateway_hosts.items()}
        self._proxy = Base.parse(upstream_proxy) if upstream_proxy else None
        self._no_proxy = tuple(no_proxy)
        self._leads = dict(leads or {})
        self._mark = f"/~{run_mark}" if run_mark else None
        # A client's calls repeat a few ways: it takes longer to find one than to send the call on.
        self._forward_known = lru_cache(KNOWN_WAYS)(self._forward)
        self._reverse_known = lru_cache(KNOWN_WAYS)(self._reverse)

    def forward(
        self, scheme: str, host: str, port: int, method: str, path: str, *, relayed: bool = False
    ) -> Target:
        """The way of a request whose own host is known (it came through CONNECT).

        ``relayed``: the tunnel is of a run that records its calls itself.
        """
        find = self._forward_known if len(path) <= KNOWN_PATH else self._forward
        return find(scheme, host, port, method, path, relayed=relayed)

    def _forward(
        self, scheme: str, host: str, port: int, method: str, path: str, *, relayed: bool
    ) -> Target:
        # A name may end in a dot (the DNS root); it is the same host.
        name = on_the_wire(host.lower().rstrip("."))
        base = self._routes.get(name)
        owner = routes.provider_of_host(f"{name}:{port}")
        if owner is not None:
            route = routes.match(owner, method, path)
        else:
            spoken = self._gateway_hosts.get(name)
            route = routes.match_gateway(name, method, self._below_prefix(spoken, path), spoken)
        return Target(
            scheme=base.scheme if base else scheme,
            host=base.host if base else host,
            port=base.port if base else port,
            path=base.prefix + path if base else path,
            route=None if relayed else route,
            provider=routes.PROVIDERS[owner].name if owner and not relayed else None,
            server_address=name,
            server_port=port,
            relayed=relayed and route is not None,
        )

    def _below_prefix(self, spoken: str | None, path: str) -> str:
        """A gateway's path as the API that it speaks knows it: the prefix is the gateway's own."""
        base = self._upstreams.get(spoken or "")
        if spoken is None or base is None or not path.startswith(base.prefix + "/"):
            return path
        return routes.PROVIDERS[spoken].base_path + path.removeprefix(base.prefix)

    def reverse(self, method: str, path: str) -> Target | None:
        """The way of a request sent to us as to a server; None if it names no provider."""
        if self._mark and path.startswith(self._mark + "/"):
            found = self._find_reverse(method, path.removeprefix(self._mark))
            if found is None:
                return None
            seen = found.route is not None
            return msgspec.structs.replace(found, route=None, provider=None, relayed=seen)
        if self._mark and (other := _ANY_MARK.match(path)):
            # A run's that began before we did, and goes on: whose port this was is gone. It must
            # not fail; but nobody here knows that mark, so the call is ours as well.
            path = path[other.end() :]
        return self._find_reverse(method, path)

    def _find_reverse(self, method: str, path: str) -> Target | None:
        find = self._reverse_known if len(path) <= KNOWN_PATH else self._reverse
        return find(method, path)

    def _reverse(self, method: str, path: str) -> Target | None:
        # A base URL that ends in a slash is told from one that does not by nobody.
        name, _, rest = path.lstrip("/").partition("/")
        plain = name.partition("?")[0]
        if plain in routes.PROVIDERS:
            key: str | None = plain
            path = "/" + rest if plain == name else "/?" + name.partition("?")[2]
        else:
            key = routes.provider_of_path(method, path)
        base = self._base(key)
        if key is None or base is None:
            return None
        # Clients are told a base URL that ends as the provider's own; some append to it, and
        # some know the API's whole path by themselves.
        inner = routes.PROVIDERS[key].base_path
        tail = _below(inner, path)
        host, port, asked = self._asked_of(key, base, tail)
        owner = routes.provider_of_host(f"{host}:{port}")
        if owner is not None:
            route = routes.match(owner, method, asked)
        else:
            route = routes.match_gateway(host, method, inner + tail, key)
        routed = self._routes.get(base.host.lower())
        way = routed or base
        prefix = (routed.prefix if routed else "") + base.prefix
        return Target(
            scheme=way.scheme,
            host=way.host,
            port=way.port,
            path=prefix + tail,
            route=route,
            provider=routes.PROVIDERS[owner].name if owner else None,
            server_address=host,
            server_port=port,
        )

    def _asked_of(self, key: str, base: Base, tail: str) -> tuple[str, int, str]:
        """Whose host gets a request at last, and the path there: beyond a gateway of ours."""
        lead = self._leads.get(key)
        beyond = self._base_of(lead) if lead is not None else None
        if lead is None or beyond is None:
            return base.host, base.port, base.prefix + tail
        below = base.prefix.partition(f"/{lead}")[2] + tail
        path = _below(routes.PROVIDERS[lead].base_path, below)
        return beyond.host, beyond.port, beyond.prefix + path

    def _base(self, key: str | None) -> Base | None:
        """Where an API lives: the user's gateway, or the provider's own place."""
        if key is None:
            return None
        if key in self._upstreams:
            return self._upstreams[key]
        return self._base_of(key)

    @staticmethod
    def _base_of(key: str) -> Base | None:
        own = routes.PROVIDERS[key].base_url_in()
        return Base.parse(own) if own else None

    def via(self, scheme: str, host: str) -> Via | None:
        """The user's own proxy on the way to ``host``: HTTPS_PROXY, so for https alone."""
        if self._proxy is None or scheme != "https" or host in LOOPBACK:
            return None
        if any(hides(entry, host) for entry in self._no_proxy):
            return None
        return self._proxy.scheme, (self._proxy.host, self._proxy.port)


def _below(base_path: str, path: str) -> str:
    """What follows the path of a base URL, if it is there; else the path as it is."""
    plain = "/" + path.lstrip("/")
    rest = plain.removeprefix(base_path)
    return rest if base_path and rest != plain and rest[:1] in ("", "/", "?") else path
