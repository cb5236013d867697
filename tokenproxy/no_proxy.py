"""``NO_PROXY``: what the user has excepted, and what the command's copy must say.

The command's copy loses every entry that would lead a call past us; the proxy
honours those entries itself, on its own way out. It gains loopback and the
telemetry hosts, which nobody wants proxied.

``::1`` is not added: httpx before 0.24.1 takes it for a host with a bad port and
fails in its client's constructor. A connection to it is tunnelled, as any other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

VARIABLES = ("no_proxy", "NO_PROXY")
LOOPBACK = ("localhost", "127.0.0.1")


def entries(env: Mapping[str, str]) -> tuple[str, ...]:
    """The user's own entries, of both spellings, each once, in order."""
    found = (item for name in VARIABLES for item in re.split(r"[,\s]+", env.get(name, "")))
    return tuple(dict.fromkeys(item for item in found if item))


def for_child(own: Iterable[str], intercepted: Iterable[str], direct: Iterable[str]) -> str:
    """The command's list.

    Args:
        own: The user's entries.
        intercepted: Hosts whose calls must come to us.
        direct: Hosts to add besides loopback.
    """
    hosts = tuple(intercepted)
    wanted = dict.fromkeys((*own, *LOOPBACK, *direct))
    return ",".join(entry for entry in wanted if not any(hides(entry, host) for host in hosts))


def hides(entry: str, host: str) -> bool:
    """Whether some client would take ``entry`` to except ``host``.

    Clients differ (curl, Go, Python, Node): the widest reading counts here.
    """
    entry = entry.strip().lower()
    host = host.lower().rstrip(".")
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(host, entry)
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    entry = entry.removeprefix("*").strip(".")
    if not entry:
        return False
    if "*" in host:  # as the route table writes hosts that differ by region or resource
        labels = host.split(".")
        return any(_fits(".".join(labels[at:]), entry) for at in range(len(labels)))
    return host == entry or host.endswith("." + entry)


def _fits(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name
    if pattern.count(".") != name.count("."):  # a star stands for what lies within one label
        return False
    written = "[a-z0-9_-]+".join(re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(written, name) is not None


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
