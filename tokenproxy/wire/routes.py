"""Which requests are model calls, and who reads them: the one table of providers.

A provider costs one file with its dialect and one entry in ``PROVIDERS``. What
matches no endpoint of its provider is not a call: it passes through unread.

Paths are compared by their segments. The query is not looked at
(``/v1/messages?beta=true``), and empty segments do not count: a base URL that
ends in a slash makes ``//v1/messages``, and whether the API answers that or
refuses it, it was an attempt and wants its row.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tokenproxy.wire import anthropic
from tokenproxy.wire.dialect import Dialect

Kind = Literal["inference", "count", "batch_results"]


class Route(msgspec.Struct, frozen=True):
    """How a request that is a model call is to be read."""

    provider: str
    dialect: str
    operation: str
    """``gen_ai.operation.name``; what that does not name has a name of ours."""
    kind: Kind


class Endpoint(msgspec.Struct, frozen=True):
    """One method and path of a provider's API."""

    method: str
    path: str
    """``{}`` stands for any one segment."""
    dialect: Dialect
    operation: str = "chat"
    kind: Kind = "inference"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: where its API lives and which of its endpoints are calls."""

    name: str
    """As in the ledger's rows."""
    hosts: tuple[str, ...]
    """Hosts that are opened in forward mode, lower case."""
    base_url: str
    """Where calls go in reverse mode if nothing else is said; no trailing slash."""
    base_url_env: str
    """The variable by which its clients are pointed elsewhere."""
    endpoints: tuple[Endpoint, ...]


PROVIDERS: Final[dict[str, Provider]] = {
    "anthropic": Provider(
        name="anthropic",
        hosts=("api.anthropic.com",),
        base_url="https://api.anthropic.com",
        base_url_env="ANTHROPIC_BASE_URL",
        endpoints=(
            Endpoint("POST", "/v1/messages", anthropic.MESSAGES),
            Endpoint(
                "POST", "/v1/messages/count_tokens", anthropic.MESSAGES, "count_tokens", "count"
            ),
            Endpoint(
                "GET",
                "/v1/messages/batches/{}/results",
                anthropic.MESSAGES,
                "batch_results",
                "batch_results",
            ),
        ),
    ),
}
"""Every provider by its name."""


def match(provider: str, method: str, path: str) -> Route | None:
    """How to read a request to a provider, or None if it is no model call.

    Args:
        provider: a name in ``PROVIDERS``; one that is not there matches nothing.
        method: of HTTP, in any case.
        path: with or without its query.
    """
    known = PROVIDERS.get(provider)
    if known is None:
        return None
    segments = _segments(path)
    for endpoint in known.endpoints:
        if endpoint.method == method.upper() and _fits(segments, _segments(endpoint.path)):
            return Route(known.name, endpoint.dialect.name, endpoint.operation, endpoint.kind)
    return None


def provider_of_host(host: str) -> str | None:
    """The provider behind a host name (in any case, with or without a port), or None."""
    return next((name for name in PROVIDERS if is_first_party(name, host)), None)


def is_first_party(provider: str, host: str) -> bool:
    """Whether a host (as above) is the provider's own, and no gateway that speaks its API."""
    known = PROVIDERS.get(provider)
    return known is not None and host.lower().split(":", 1)[0].rstrip(".") in known.hosts


def provider_of_path(method: str, path: str) -> str | None:
    """The provider whose call a request must be, for lack of its host; None if it is no call."""
    return next((name for name in PROVIDERS if match(name, method, path)), None)


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        LookupError: there is none.
    """
    for known in PROVIDERS.values():
        for endpoint in known.endpoints:
            if endpoint.dialect.name == name:
                return endpoint.dialect
    raise LookupError(f"no dialect is called {name!r}")


def _segments(path: str) -> list[str]:
    return [segment for segment in path.partition("?")[0].split("/") if segment]


def _fits(segments: list[str], pattern: list[str]) -> bool:
    return len(segments) == len(pattern) and all(
        wanted in ("{}", segment) for segment, wanted in zip(segments, pattern, strict=True)
    )
