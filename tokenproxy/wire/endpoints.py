"""What the table of providers is made of: providers, their endpoints, and a matched route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.words import word

NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})

Kind = Literal["inference", "count", "batch_results", "replay"]
"""``inference``: a model answers. ``count``: tokens are counted, free of charge. ``batch_results``:
many earlier answers are fetched. ``replay``: one earlier answer is fetched (again)."""


class Endpoint(msgspec.Struct, frozen=True):
    """One method and path of a provider's API."""

    method: str
    path: str
    """``{}`` stands for any one segment, or for the beginning of one (``{}:countTokens``);
    ``{model}`` likewise, and names the model that is asked."""
    dialect: Dialect | str
    """A dialect, or its name: ``openai.chat`` is ``CHAT`` in ``tokenproxy.wire.openai``."""
    operation: str = "chat"
    kind: Kind = "inference"
    stream: bool | None = None
    """Whether the answer is a stream, where the path tells."""
    replayable: bool = False
    """The answer can be fetched again under its id."""
    socket: bool = False
    """Calls come as messages of a WebSocket that a GET of this path opens."""
    usage_on_request: bool = False
    """A stream's usage comes only if the request has ``stream_options.include_usage``."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One API: where it lives, how its clients are pointed elsewhere, which requests are calls."""

    name: str
    """As in the ledger's rows."""
    hosts: tuple[str, ...] = ()
    """Hosts that are opened in forward mode, lower case. ``*`` stands for anything within
    one label; a port may follow, and then only that port is meant."""
    base_url: str = ""
    """Where calls go in reverse mode if nothing else is said; no trailing slash. Its path is
    part of what clients are told. ``{region}`` is filled in. Empty: only the user knows."""
    base_url_env: str = ""
    """The variable by which its clients are pointed elsewhere."""
    regions: tuple[str, ...] = ()
    """Variables that name the region, the first that is set wins; the last item is the default."""
    region_hosts: Mapping[str, str] = NOWHERE
    """What stands for ``{region}``, by region; for those not listed what stands under ``*``,
    with their name in the star's place."""
    reverse_needs: tuple[str, ...] = ()
    """Variables one of which must be set for reverse mode to work: without them the client
    signs its requests for the host that it believes to talk to."""
    endpoints: tuple[Endpoint, ...] = ()

    def base_url_in(self, env: Mapping[str, str] = NOWHERE) -> str:
        """``base_url`` in the region that the environment names, else in the default one.

        What can be no part of a host's name is no region: a URL must come of it.
        """
        *variables, default = self.regions or ("",)
        named = (env.get(name, "").strip() for name in variables)
        region = next((name for name in named if _LABEL.fullmatch(name)), default)
        host = self.region_hosts.get(region) or self.region_hosts.get("*", "*")
        return self.base_url.replace("{region}", host.replace("*", region))

    @property
    def base_path(self) -> str:
        """The path that clients' base URLs end in: ``/v1`` for OpenAI's."""
        return urlsplit(self.base_url).path


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How a request that is a model call is to be read."""

    provider: str
    """The ledger's name."""
    family: str
    """The provider whose API is spoken; the same, unless a gateway is named by its host."""
    dialect: str
    operation: str
    """``gen_ai.operation.name``; what that does not name has a name of ours."""
    kind: Kind = "inference"
    model: str | None = None
    """The model that the path names; on a WebSocket, whose upgrade has no body, the query."""
    stream: bool | None = None
    replayable: bool = False
    socket: bool = False
    usage_on_request: bool = False


_QUERY_MODEL: Final = ("model", "deployment")
"""What names the model in a WebSocket's query: OpenAI's word, and that of Azure's older paths."""
_SEGMENTS: Final = re.compile(r"[^/?#]+")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_HOLE: Final = re.compile(r"\{(model)?\}")


def normal_path(path: str) -> str:
    """A path as endpoints are compared with it: no query, no empty segments."""
    return "/" + "/".join(_SEGMENTS.findall(path.partition("?")[0]))


def fits(endpoint: Endpoint, method: str, path: str) -> re.Match[str] | None:
    """How a request fits an endpoint, or None.

    Args:
        endpoint: of the table.
        method: of HTTP, upper case.
        path: normal.
    """
    return _pattern(endpoint.path).fullmatch(path) if endpoint.method == method else None


def route_of(
    provider: Provider, endpoint: Endpoint, found: re.Match[str], query: str = ""
) -> Route:
    """The route of a request that fits an endpoint of a provider.

    Args:
        provider: of the table.
        endpoint: of that provider.
        found: how the path fits.
        query: the request's, without its question mark.
    """
    model = unquote(found.groupdict().get("model") or "") or None
    if endpoint.socket and model is None:
        model = _queried_model(query)
    return Route(
        provider=provider.name,
        family=provider.name,
        dialect=endpoint.dialect if isinstance(endpoint.dialect, str) else endpoint.dialect.name,
        operation=endpoint.operation,
        kind=endpoint.kind,
        model=model,
        stream=endpoint.stream,
        replayable=endpoint.replayable,
        socket=endpoint.socket,
        usage_on_request=endpoint.usage_on_request,
    )


def _queried_model(query: str) -> str | None:
    asked = dict(parse_qsl(query))
    return next((found for name in _QUERY_MODEL if (found := word(asked.get(name)))), None)


@lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    parts = []
    at = 0
    for hole in _HOLE.finditer(path):
        parts += [re.escape(path[at : hole.start()]), "(?P<model>[^/]+)" if hole[1] else "[^/]+"]
        at = hole.end()
    return re.compile("".join([*parts, re.escape(path[at:])]))


@lru_cache(maxsize=1024)
def host_pattern(host: str) -> str:
    """A regular expression for a host of the table, without its port, or for an address."""
    name = host.partition(":")[0] if host.count(":") == 1 else host
    return r"[a-z0-9_-]+".join(re.escape(piece) for piece in name.split("*"))
