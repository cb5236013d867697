"""Where a request goes: the provider it is for, the address that gets it.

One listener speaks both ways. A request that came through CONNECT already
names its host (forward). One that was sent to us as to a server is told apart
by its path (reverse): ``/anthropic/v1/messages`` names the provider,
``/v1/messages`` implies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tokenproxy.no_proxy import hides
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
    api_path: str
    """Path and query as the provider's API knows them, without any gateway's prefix."""
    provider: str | None
    """None: not a model API; pass through."""
    server_address: str
    """The provider's own host, whatever the route."""
    server_port: int


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


LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
    ) -> None:
        self._routes = {host.lower(): Base.parse(url) for host, url in routes.items()}
        self._upstreams = {name: Base.parse(url) for name, url in upstreams.items()}
        self._gateway_hosts = {host.lower(): name for host, name in gateway_hosts.items()}
        self._proxy = Base.parse(upstream_proxy) if upstream_proxy else None
        self._no_proxy = tuple(no_proxy)

    def forward(self, scheme: str, host: str, port: int, path: str) -> Target:
        """The way of a request whose own host is known (it came through CONNECT)."""
        # A name may end in a dot (the DNS root); it is the same host.
        name = host.lower().rstrip(".")
        provider = self._gateway_hosts.get(name) or routes.provider_of_host(name)
        base = self._routes.get(name)
        api_path = path
        if name in self._gateway_hosts and provider in self._upstreams:
            # A gateway may serve the API below a prefix of its own.
            prefix = self._upstreams[provider].prefix
            api_path = path.removeprefix(prefix) if path.startswith(prefix + "/") else path
        return Target(
            scheme=base.scheme if base else scheme,
            host=base.host if base else host,
            port=base.port if base else port,
            path=base.prefix + path if base else path,
            api_path=api_path,
            provider=provider,
            server_address=name,
            server_port=port,
        )

    def reverse(self, method: str, path: str) -> Target | None:
        """The way of a request sent to us as to a server; None if it names no provider."""
        name, _, rest = path.removeprefix("/").partition("/")
        plain = name.partition("?")[0]
        if plain in routes.PROVIDERS:
            provider: str | None = plain
            path = "/" + rest if plain == name else "/?" + name.partition("?")[2]
        else:
            provider = routes.provider_of_path(method, path)
        if provider is None:
            return None
        base = self._upstreams.get(provider) or Base.parse(routes.PROVIDERS[provider].base_url)
        routed = self._routes.get(base.host.lower())
        way = routed or base
        prefix = (routed.prefix if routed else "") + base.prefix
        return Target(
            scheme=way.scheme,
            host=way.host,
            port=way.port,
            path=prefix + path,
            api_path=path,
            provider=provider,
            server_address=base.host,
            server_port=base.port,
        )

    def via(self, scheme: str, host: str) -> Via | None:
        """The user's own proxy on the way to ``host``: HTTPS_PROXY, so for https alone."""
        if self._proxy is None or scheme != "https" or host in LOOPBACK:
            return None
        if any(hides(entry, host) for entry in self._no_proxy):
            return None
        return self._proxy.scheme, (self._proxy.host, self._proxy.port)
