"""Which way a run's calls come to us, decided from the user's environment.

forward: ``HTTPS_PROXY`` names us; the hosts of the providers are opened.
reverse: the providers' base-URL variables name us.
auto: forward, but where a variable already names a gateway, that variable names us:
      only the clients that were sent elsewhere anyway learn of another base URL. Those
      that sign their requests are not led away: their https gateway is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from tokenproxy import no_proxy
from tokenproxy.config import Mode
from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.routes import (
    check_url,
    host_of,
    is_address,
    is_every,
    is_here,
    why_no_server,
    without_login,
)
from tokenproxy.wire.endpoints import Provider, host_pattern
from tokenproxy.wire.providers import PROVIDERS

PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY")
ANY_PROXY_VARIABLES = ("all_proxy", "ALL_PROXY")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The way of a run's calls."""

    mode: Literal["forward", "reverse", "both"]
    hosts: tuple[str, ...] = ()
    """Intercepted hosts, sorted, as the route table writes them; empty in reverse mode."""
    variables: tuple[str, ...] = ()
    """Keys of the providers whose base-URL variables name us, sorted."""
    gateway_hosts: dict[str, str] = msgspec.field(default_factory=dict)
    """Hosts of the user's gateways -> provider whose API they speak (forward)."""
    upstreams: dict[str, str] = msgspec.field(default_factory=dict)
    """Provider -> base URL of the user's gateway."""
    routes: dict[str, str] = msgspec.field(default_factory=dict)
    leads: dict[str, str] = msgspec.field(default_factory=dict)
    """Provider whose base URL is a gateway of ours -> provider that its path names there."""
    upstream_proxy: str | None = None
    proxy_mark: str | None = None
    """What ``upstream_proxy`` is shown, a gateway of ours (:mod:`tokenproxy.launch.gateways`)."""
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
    gateways, notes = _gateways(env, providers)
    upstream_proxy, more = _upstream_proxy(env)
    notes += more
    upstreams = dict(gateways)
    gateway_hosts: dict[str, str] = {}
    hosts: set[str] = set()
    opened = [
        name
        for name, url in gateways.items()
        if mode == "forward" or (mode == "auto" and _insists(providers[name], url))
    ]
    variables = tuple(name for name in gateways if name not in opened)
    for name in variables:
        check_url(gateways[name], providers[name].base_url_env)
    if mode == "reverse":
        upstreams, unsigned = _reversible(env, providers)
        variables = tuple(name for name in upstreams if name not in unsigned)
        notes += tuple(_unseen(providers[name]) for name in unsigned if name in gateways)
        notes += _idle_routes(routes, [upstreams[name] for name in variables])
    else:
        hosts.update(host for one in providers.values() for host in one.hosts if _opens(host))
        hosts.update(routes)
    for name in opened:
        host = _forwarded_host(providers[name], gateways[name])
        gateway_hosts[host] = name
        hosts.add(host)
    return Plan(
        mode="both" if hosts and variables else "forward" if hosts else "reverse",
        hosts=tuple(sorted(host.lower() for host in hosts)),
        variables=tuple(sorted(variables)),
        gateway_hosts=gateway_hosts,
        upstreams=upstreams,
        routes=dict(routes),
        upstream_proxy=upstream_proxy,
        no_proxy=no_proxy.entries(env),
        notes=notes,
    )


def _insists(provider: Provider, url: str) -> bool:
    """Whether clients may not be led away from a gateway: they sign for it, or want its TLS."""
    return bool(provider.reverse_needs) and url.startswith("https:")


def _opens(host: str) -> bool:
    """Whether a host can come through a tunnel: those with a port speak plain http."""
    return ":" not in host


def _gateways(
    env: Mapping[str, str], providers: Mapping[str, Provider]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Provider -> base URL, for those whose variable names a host that no provider owns; notes.

    What no client can use leads no call anywhere, so it is left to the client to complain.
    An owned host may be told with a query (Azure's "target URI"): its calls come to us whatever
    the variable says.
    """
    found, notes = {}, []
    for name, provider in providers.items():
        url = _told(env, provider)
        if not url or _is_known(url, providers) or _is_listened_on(url, provider):
            continue
        fault = why_no_server(url)
        if fault is None:
            found[name] = url
        else:
            notes.append(f"{provider.base_url_env} is left as it is: {fault}")
    return found, tuple(notes)


def _idle_routes(routes: Mapping[str, str], places: Iterable[str]) -> tuple[str, ...]:
    """Sentences about routes for hosts that no base URL leads to, which is all there is."""
    led_to = {urlsplit(place).hostname for place in places}
    return tuple(
        f"the route for {host} has no effect in reverse mode, where no client is led to that host;"
        " use --mode forward or --mode auto"
        for host in routes
        if host not in led_to
    )


def _is_listened_on(told: str, provider: Provider) -> bool:
    """Whether a variable that a server obeys too tells it where to listen (``OLLAMA_HOST``)."""
    if urlsplit(provider.base_url).scheme != "http":
        return False
    try:
        return is_every(urlsplit(told).hostname or "")
    except ValueError:
        return False


def _told(env: Mapping[str, str], provider: Provider) -> str:
    """What the provider's variable holds, with a scheme; "" if it holds nothing."""
    value = env.get(provider.base_url_env, "").strip() if provider.base_url_env else ""
    own = urlsplit(provider.base_url)
    if value and own.scheme == "http" and "://" not in value:
        return _with_scheme(value.strip("\"'"), own)
    return value


def _with_scheme(place: str, own: SplitResult) -> str:
    """A URL of a host, a port or both, as Ollama takes them; what is not said is the own one's."""
    where, slash, path = place.partition("/")
    host, _, port = where.rpartition(":")
    address = where.strip("[]")
    if ":" in address and is_address(address):
        host, port = f"[{address}]", ""
    elif ":" not in where:
        host, port = where, ""
    return f"http://{host or own.hostname}:{port or own.port}{slash}{path}"


def _is_known(told: str, providers: Mapping[str, Provider]) -> bool:
    """Whether a URL's host is a provider's own; what is no URL has none."""
    try:
        url = urlsplit(told)
        host, port = url.hostname or "", url.port
    except ValueError:
        return False
    for provider in providers.values():
        own = urlsplit(provider.base_url)
        if url.scheme == own.scheme == "http" and is_here(host) and port == own.port:
            return True
        if url.scheme == "https" and port in (None, 443):
            listed = [name for name in provider.hosts if _opens(name)]
            if any(re.fullmatch(host_pattern(name), host) for name in listed):
                return True
    return False


def _reversible(
    env: Mapping[str, str], providers: Mapping[str, Provider]
) -> tuple[dict[str, str], frozenset[str]]:
    """Provider -> where its calls go in reverse mode, and those that must not be told of us.

    The latter's requests are signed for the host that the client believes to talk to.
    """
    places: dict[str, str] = {}
    for name, provider in providers.items():
        told = _told(env, provider)
        place = check_url(told, provider.base_url_env) if told else provider.base_url_in(env)
        if place and provider.base_url_env:
            places[name] = place
    signed = frozenset(
        name
        for name in places
        if (needs := providers[name].reverse_needs) and not any(env.get(need) for need in needs)
    )
    return places, signed


def _unseen(provider: Provider) -> str:
    return (
        f"calls to {provider.base_url_env} are signed for their host and cannot be seen in reverse"
        f" mode; use --mode forward, or one of {', '.join(provider.reverse_needs)}"
    )


def _forwarded_host(provider: Provider, url: str) -> str:
    """The host that clients will name in CONNECT, as certificates have it."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise UsageError(
            f"--mode forward cannot see calls to {provider.base_url_env}="
            f"{without_login(url)}: only https goes through a tunnel;"
            " use --mode reverse or --mode auto"
        )
    return host_of(parts)


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
        raise UsageError(
            f"{name} is not the URL of a proxy; set it to http://HOST:PORT, or unset it"
        )
    return url
