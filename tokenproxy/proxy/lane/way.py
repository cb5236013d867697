"""Where a request of the lane goes, and what its head says there."""

from __future__ import annotations

from tokenproxy.proxy.director import Target
from tokenproxy.proxy.lane.head import RequestHead
from tokenproxy.proxy.reception import Reception


def target_of(
    head: RequestHead,
    tunnel: tuple[str, int] | None,
    reception: Reception,
    *,
    relayed: bool = False,
) -> Target | None:
    """Where a request goes; None if that is not for the lane.

    Args:
        head: The request's.
        tunnel: Host and port of the tunnel that it came in; None: it was sent to us.
        reception: Knows what may be asked for.
        relayed: Whether a run records what is in the tunnel.
    """
    director = reception.director
    if tunnel is not None:
        host, port = tunnel
        if not reception.permits_name(head.fields["host"], host):
            return None
        method, path = head.method, head.path
        target = director.forward("https", host, port, method, path, relayed=relayed)
    else:
        found = director.reverse(head.method, head.path)
        if found is None:
            return None
        target = found
    if director.via(target.scheme, target.host) is not None or ":" in target.host:
        return None
    route = target.route
    if reception.inject and route is not None and route.usage_on_request:
        return None
    return target


def head_sent(head: RequestHead, tunnel: tuple[str, int] | None, target: Target) -> bytes:
    """A request's head as ``target`` gets it: as it came, unless that is another place."""
    there = (target.host, target.port) if target.scheme == "https" else None
    stays = tunnel is not None and tunnel == there
    return head.sent_to(target.path, None if stays else _host_field(target))


def _host_field(target: Target) -> str:
    """The Host of a request that goes elsewhere than its client knows (RFC 9110, section 7.2)."""
    default = {"https": 443, "http": 80}[target.scheme]
    return target.host if target.port == default else f"{target.host}:{target.port}"
