"""Which way a run's calls come to us, decided from the user's environment.

forward: ``HTTPS_PROXY`` names us; the hosts of the providers are opened.
reverse: the providers' base-URL variables name us.
auto: reverse when such a variable already names a gateway, else forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from tokenproxy import no_proxy
from tokenproxy.config import Mode
from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.routes import check_url, without_login
from tokenproxy.wire.routes import PROVIDERS, Provider

PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY")
ANY_PROXY_VARIABLES = ("all_proxy", "ALL_PROXY")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The way of a run's calls."""

    mode: Literal["forward", "reverse"]
    hosts: tuple[str, ...] = ()
    """Intercepted hosts, sorted; empty in reverse mode."""
    gateway_hosts: dict[str, str] = msgspec.field(default_factory=dict)
    """Hosts of the user's gateways -> provider whose API they speak (forward)."""
    upstreams: dict[str, str] = msgspec.field(default_factory=dict)
    """Provider -> base URL of the user's gateway."""
    routes: dict[str, str] = msgspec.field(default_factory=dict)
    upstream_proxy: str | None = None
    no_proxy: tuple[str, ...] = ()
    """The user's own exceptions, complete."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


def make_plan(
    mode: Mode,
    env: Mapping[str, str],
    routes: Mapping[str, str],
    providers: Mapping[str, Provider] = PROVIDERS,
) -> Plan:
    """Decide the way for a command that would be run with ``env``.

    Raises:
        UsageError: A variable or an option names what cannot be used.
    """
    gateways = _gateways(env, providers)
    upstream_proxy, notes = _upstream_proxy(env)
    way: Literal["forward", "reverse"]
    way = ("reverse" if gateways else "forward") if mode == "auto" else mode
    gateway_hosts = {}
    hosts: set[str] = set()
    if way == "forward":
        for name, url in gateways.items():
            gateway_hosts[_forwarded_host(providers[name], url)] = name
        hosts.update(*(provider.hosts for provider in providers.values()))
        hosts.update(gateway_hosts, routes)
    return Plan(
        mode=way,
        hosts=tuple(sorted(host.lower() for host in hosts)),
        gateway_hosts=gateway_hosts,
        upstreams=gateways,
        routes=dict(routes),
        upstream_proxy=upstream_proxy,
        no_proxy=no_proxy.entries(env),
        notes=notes,
    )


def _gateways(env: Mapping[str, str], providers: Mapping[str, Provider]) -> dict[str, str]:
    """Provider -> base URL, for those whose variable names another than its own host."""
    gateways = {}
    for name, provider in providers.items():
        variable = provider.base_url_env
        url = env.get(variable, "").strip() if variable else ""
        if url and not _is_own(urlsplit(check_url(url, variable)), provider):
            gateways[name] = url
    return gateways


def _is_own(url: SplitResult, provider: Provider) -> bool:
    return url.scheme == "https" and url.hostname in provider.hosts and url.port in (None, 443)


def _forwarded_host(provider: Provider, url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        raise UsageError(
            f"--mode forward cannot see calls to {provider.base_url_env}="
            f"{without_login(url)}: only https goes through a tunnel;"
            " use --mode reverse or --mode auto"
        )
    return host


def _upstream_proxy(env: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The proxy that the user's https goes through, as a URL with a scheme; and notes."""
    for name in (*PROXY_VARIABLES, *ANY_PROXY_VARIABLES):
        value = env.get(name, "").strip()
        if not value:
            continue
        url = value if "://" in value else f"http://{value}"
        scheme = url.partition("://")[0].lower()
        if scheme in ("http", "https"):
            return _checked_proxy(url, name), ()
        if name in PROXY_VARIABLES:
            raise UsageError(
                f"{name} names a {scheme} proxy, which tokenproxy cannot go through;"
                " set it to an http:// or https:// proxy"
            )
        # Many clients ignore these for https; refusing would break what works today.
        return None, (f"{name} names a {scheme} proxy: calls do not go through it",)
    return None, ()


def _checked_proxy(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:  # the value is not shown: it may hold a password
        raise UsageError(f"{name} is not the URL of a proxy")
    return url
