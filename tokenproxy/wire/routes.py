"""Which requests are model calls, and who reads them.

What matches no endpoint of its provider is not a call: it passes through unread.

Paths are compared by their segments. The query decides nothing
(``/v1/messages?beta=true``); that of a WebSocket may name the model. Empty
segments do not count: a base URL that ends in a slash makes ``//v1/messages``,
and whether the API answers that or refuses it, it was an attempt and wants its
row.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from functools import lru_cache
from typing import Final

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.endpoints import (
    Endpoint,
    Provider,
    Route,
    fits,
    host_pattern,
    normal_path,
    route_of,
)
from tokenproxy.wire.providers import PROVIDERS

__all__ = [
    "PROVIDERS",
    "Endpoint",
    "Provider",
    "Route",
    "dialect",
    "dialect_names",
    "is_first_party",
    "match",
    "match_gateway",
    "provider_of_host",
    "provider_of_path",
]

_COPIED: Final = ("anthropic", "openai")
"""APIs that others offer too."""

_MAX_PREFIX: Final = 6
"""Segments that a gateway may put before an API's own path."""

_MAX_CACHED: Final = 512
"""Longest path whose route is kept in mind: an agent's calls repeat a few short ones."""


def match(provider: str, method: str, path: str) -> Route | None:
    """How to read a request to a provider, or None if it is no model call.

    Args:
        provider: a key of ``PROVIDERS``; one that is not there matches nothing.
        method: of HTTP, in any case.
        path: with or without its query.
    """
    find = _match if len(path) <= _MAX_CACHED else _match.__wrapped__
    return find(provider, method, path)


@lru_cache(maxsize=1024)
def _match(provider: str, method: str, path: str) -> Route | None:
    known = PROVIDERS.get(provider)
    if known is None:
        return None
    normal, verb = normal_path(path), method.upper()
    for endpoint in known.endpoints:
        found = fits(endpoint, verb, normal)
        if found is not None:
            return route_of(known, endpoint, found, path.partition("?")[2])
    return None


def match_gateway(host: str, method: str, path: str, provider: str | None = None) -> Route | None:
    """How to read a request to a host that is in no entry: a gateway, known by its paths.

    Args:
        host: with or without its port. One that has a name gives it to the row's provider;
            a bare address names nobody, and the API's own provider stands.
        method: of HTTP, in any case.
        path: below the gateway's base URL, or whole.
        provider: the key of the API that the gateway is said to speak; None: by its paths alone.
    """
    find = _match_gateway if len(path) <= _MAX_CACHED else _match_gateway.__wrapped__
    return find(host, method, path, provider)


@lru_cache(maxsize=1024)
def _match_gateway(host: str, method: str, path: str, provider: str | None) -> Route | None:
    segments, query = normal_path(path).split("/")[1:], path.partition("?")[2]
    names = [provider] if provider in PROVIDERS else []
    for skipped in range(min(len(segments), _MAX_PREFIX + 1)):
        tail = "/" + "/".join(segments[skipped:]) + "?" + query
        for name in (*names, *PROVIDERS):
            route = match(name, method, tail)
            if route is not None:
                return msgspec.structs.replace(
                    route, provider=_gateway_name(host) or route.provider
                )
    return None


@lru_cache(maxsize=1024)
def provider_of_host(host: str) -> str | None:
    """The key of the provider behind a host (in any case, with or without a port), or None."""
    name, port = _split(host)
    return next(
        (
            key
            for key, provider in PROVIDERS.items()
            if any(_is_host(listed, name, port) for listed in provider.hosts)
        ),
        None,
    )


def is_first_party(provider: str, host: str) -> bool:
    """Whether a host (as above) is the own one of the provider that rows call ``provider``."""
    key = provider_of_host(host)
    return key is not None and PROVIDERS[key].name == provider


def provider_of_path(method: str, path: str) -> str | None:
    """The key of the provider whose call a request must be, for lack of its host, or None.

    Many APIs are copies of Anthropic's and OpenAI's: theirs are meant. Of any other path that
    several know none is meant: the request has a key in it, and would bring it to a stranger.
    """
    find = _provider_of_path if len(path) <= _MAX_CACHED else _provider_of_path.__wrapped__
    return find(method, path)


@lru_cache(maxsize=1024)
def _provider_of_path(method: str, path: str) -> str | None:
    known = [key for key in PROVIDERS if match(key, method, path)]
    if not known or known[0] in _COPIED:
        return next(iter(known), None)
    # Some clients append to a base URL that ends in the API's own path.
    meant = {
        provider.name
        for key, provider in PROVIDERS.items()
        if key in known or match(key, method, provider.base_path + path)
    }
    return known[0] if len(meant) == 1 else None


def dialect_names() -> tuple[str, ...]:
    """Every dialect of the table, each once, in its order."""
    endpoints = (endpoint for known in PROVIDERS.values() for endpoint in known.endpoints)
    return tuple(
        dict.fromkeys(
            one.dialect if isinstance(one.dialect, str) else one.dialect.name for one in endpoints
        )
    )


@lru_cache(maxsize=256)
def dialect(name: str) -> Dialect:
    """The dialect of that name, ``{module}.{what it is called there}``.

    Raises:
        LookupError: there is none.
    """
    for known in PROVIDERS.values():
        for endpoint in known.endpoints:
            if not isinstance(endpoint.dialect, str) and endpoint.dialect.name == name:
                return endpoint.dialect
    return _import_dialect(name)


def _import_dialect(name: str) -> Dialect:
    module, _, attribute = name.partition(".")
    unknown = LookupError(f"no dialect is called {name!r}")
    if not module.isidentifier() or not attribute.isidentifier():
        raise unknown
    try:
        found: Dialect = getattr(
            importlib.import_module(f"tokenproxy.wire.{module}"), attribute.upper()
        )
    except (ImportError, AttributeError):
        raise unknown from None
    return found


def _split(host: str) -> tuple[str, str]:
    """Name and port, the port "" if there is none; an IPv6 address has none of either."""
    if host.startswith("[") or host.count(":") > 1:
        return "", ""
    name, _, port = host.lower().partition(":")
    return name.rstrip("."), port


def _is_host(listed: str, name: str, port: str) -> bool:
    wanted = listed.partition(":")[2]
    if wanted and wanted != port:
        return False
    return re.fullmatch(host_pattern(listed), name) is not None


def _gateway_name(host: str) -> str | None:
    name = _split(host)[0]
    if not name or name == "localhost":
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return None
