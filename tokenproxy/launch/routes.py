"""``--route HOST=URL`` and ``--label KEY=VALUE``: read and checked."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from tokenproxy.launch.errors import UsageError

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


def split_variable(value: str) -> list[str]:
    """The items of an environment variable that holds several: by commas or white space."""
    return [item for item in re.split(r"[,\s]+", value) if item]


def parse_routes(given: Iterable[str]) -> dict[str, str]:
    """``HOST=URL`` items as host (lower case) to URL; of two for one host the later holds.

    Raises:
        UsageError: An item is no route.
    """
    routes = {}
    for item in given:
        host, sign, url = item.partition("=")
        host = host.strip().lower().rstrip(".")
        if not sign:
            raise UsageError(
                f"route {without_login(item)!r} is not HOST=URL, for example"
                " api.anthropic.com=http://127.0.0.1:8080"
            )
        if not is_host(host):
            raise UsageError(
                f"route for {host!r}: that is not a host name"
                " (no scheme, port or path belongs there)"
            )
        routes[host] = check_url(url.strip(), f"route for {host}")
    return routes


def parse_labels(given: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` items; of two for one key the later holds.

    Raises:
        UsageError: An item has no key or no ``=``.
    """
    labels = {}
    for item in given:
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"label {item!r} is not KEY=VALUE, for example team=search")
        labels[key.strip()] = value
    return labels


def check_url(url: str, what: str) -> str:
    """``url`` itself if it names a server of http or https, and nothing stands behind its path.

    Args:
        url: As given.
        what: Names the option or variable in the sentence.

    Raises:
        UsageError: It is not.
    """
    if (fault := why_no_server(url)) is not None:
        raise UsageError(f"{what}: {fault}")
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise UsageError(f"{what}: {without_login(url)!r} must end with its path (no ? or # part)")
    return url


def why_no_server(url: str) -> str | None:
    """Why no client can reach anything by this URL; None if it names a server of http or https."""
    shown = without_login(url)
    try:
        parts = urlsplit(url)
        host, port = host_of(parts), parts.port
    except ValueError:
        return f"{shown!r} is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{shown!r} is not an http:// or https:// URL with a host"
    if not is_host(host):
        return f"{host!r} is not a host's name"
    if port == 0 or any(letter.isspace() for letter in url):
        return f"{shown!r} is not a URL"
    return None


def host_of(parts: SplitResult) -> str:
    """The host of a URL as certificates name it."""
    host = (parts.hostname or "").rstrip(".")
    with contextlib.suppress(UnicodeError):  # then it is no host's name either
        host = host if host.isascii() else host.encode("idna").decode()
    return host


def without_login(text: str) -> str:
    """``text`` to be shown: what may be a secret of a URL is left out.

    A user and a password, wherever in what is no URL; and what is below the host, for gateways
    (ours too) may take their token there.
    """
    if "//" not in text:
        return re.sub(r"([?#]).+", r"\1…", text.rpartition("@")[2])
    text = re.sub(r"//[^/?#]*@", "//", re.sub(r"^[^/]*@", "", text))
    # A password with a slash in it passes for the port: then the host is not told either.
    text = re.sub(r"//[^/?#]*[/?#][^'\"]*@.*", "//…", text)
    return re.sub(r"(//[^/?#]*[/?#])[^\s'\"]+", r"\1…", text)


def is_host(host: str) -> bool:
    """Whether ``host`` is a DNS name or a literal IP address, in lower case."""
    return is_address(host) or _HOST.fullmatch(host) is not None


def is_every(host: str) -> bool:
    """Whether ``host`` stands for all addresses of this machine: those are to listen on."""
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def is_here(host: str) -> bool:
    """Whether ``host`` means this machine, as a client or as a server is told it."""
    if not is_address(host):
        return host == "localhost"
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified


def is_address(host: str) -> bool:
    """Whether ``host`` is a literal IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
