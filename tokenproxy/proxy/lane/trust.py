"""The TLS contexts of the lane: ours towards clients, and what we trust of providers."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

type Leaf = tuple[bytes, bytes]
"""A certificate and its key, PEM."""

HTTP1 = ["http/1.1"]
MOST = 256
"""Hosts whose contexts are kept: a pattern with a star opens any number of them."""


class ServerContexts:
    """One context a host: clients take up their sessions, and a leaf is loaded once."""

    def __init__(self, leaf: Callable[[str], Leaf]) -> None:
        """Prepare.

        Args:
            leaf: Makes a host's certificate.
        """
        self._leaf = leaf
        self._contexts: dict[str, ssl.SSLContext] = {}

    def of(self, host: str) -> ssl.SSLContext:
        """The context that proves to be ``host``."""
        host = host.lower()
        if host not in self._contexts:
            if len(self._contexts) >= MOST:
                self._contexts.clear()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(HTTP1)
            _load(context, *self._leaf(host))
            self._contexts[host] = context
        return self._contexts[host]


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a chain that is in memory: ssl takes files only, so it gets one that nobody sees."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("leaf")
        try:
            os.write(descriptor, key + certificate)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as directory:  # 0700
        path = Path(directory) / "leaf.pem"
        path.write_bytes(key + certificate)
        context.load_cert_chain(path)


@cache
def client_context(trusted: str | None, *, alpn: bool) -> ssl.SSLContext:
    """How providers are verified: by ``trusted`` (a file), or by the system's roots.

    With ``alpn`` HTTP/1.1 is asked for by name, as the client did.
    """
    context = ssl.create_default_context(cafile=trusted)
    # Companies' own authorities are often not by RFC 5280's letter; the client takes them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if alpn:
        context.set_alpn_protocols(HTTP1)
    return context
