"""mitmproxy with our addons: all that the lane does not carry. Importing this imports mitmproxy."""

from __future__ import annotations

from collections.abc import Sequence

from tokenproxy.config import ProxyConfig
from tokenproxy.proxy.door import Door
from tokenproxy.proxy.engine import Engine

# The engine comes first: it puts mitmproxy's addon package in place.
from tokenproxy.proxy.authority import RunAuthority  # isort: skip
from tokenproxy.proxy.observer import Observer
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.tunnel import Tunnels


def make_engine(
    config: ProxyConfig, reception: Reception, door: Door, opened: Sequence[str]
) -> Engine:
    """An engine that asks ``reception``, and opens tunnels to hosts of these patterns."""
    return Engine(
        [
            Tunnels(reception, door),
            RunAuthority(config.ca_cert_pem, config.ca_key_pem),
            Observer(
                reception,
                door,
                upstream_proxy=config.upstream_proxy,
                proxy_mark=config.proxy_mark,
            ),
        ],
        door=door,
        limits=reception.limits,
        allow_hosts=list(opened),
        ssl_verify_upstream_trusted_ca=config.upstream_ca,
    )
