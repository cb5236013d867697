"""Which hosts' tunnels are opened, as patterns of ``host:port``."""

from __future__ import annotations

from collections.abc import Iterable

from tokenproxy.wire.endpoints import host_pattern


def host_patterns(hosts: Iterable[str]) -> list[str]:
    """Patterns that match these hosts alone, on any port; also mitmproxy's ``allow_hosts``."""
    patterns = [rf"^{host_pattern(host)}\.?:\d+$" for host in hosts]
    # With no pattern at all mitmproxy opens everything; this one matches nothing.
    return patterns or [r"^(?!)"]
