"""Which hosts' tunnels are opened, as patterns of ``host:port``."""

from __future__ import annotations

from collections.abc import Iterable

from tokenproxy.wire.endpoints import host_pattern


def host_patterns(hosts: Iterable[str]) -> list[str]:
    """Patterns that match these hosts alone, on any port; also mitmproxy's ``allow_hosts``."""
    patterns = [
        rf"^{host_pattern(form)}\.?:\d+$" for host in hosts for form in dict.fromkeys(_forms(host))
    ]
    # With no pattern at all mitmproxy opens everything; this one matches nothing.
    return patterns or [r"^(?!)"]


def _forms(host: str) -> tuple[str, str]:
    """A host's name as it is on the wire, and as mitmproxy has it: international ones decoded."""
    try:
        return host, host.encode("ascii").decode("idna") if "xn--" in host else host
    except UnicodeError:
        return host, host


def on_the_wire(host: str) -> str:
    """The name that certificates and DNS have of a host that mitmproxy may have decoded."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
