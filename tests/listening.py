"""Sockets that threads of a test wait at, and how these are let go.

A thread that waits in ``accept`` or ``recv`` does not notice on Linux that another closes the
socket. It waits on: who connects is still accepted, and a descriptor is taken, for ``accept``
takes one before it waits. No list of descriptors shows that one, and ``dup2`` on its number
fails (EBUSY).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    """A listener on a free port of loopback; at the end whoever waits there is woken."""
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        yield listener
    finally:
        let_go(listener)


def let_go(waited_at: socket.socket) -> None:
    """Close a listener or a connection and wake whoever waits there, with an OSError or the end."""
    with contextlib.suppress(OSError):  # some systems say that a listener is not connected
        waited_at.shutdown(socket.SHUT_RDWR)
    waited_at.close()
