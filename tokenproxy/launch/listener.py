"""The run's listening socket.

The launcher binds it before anything else is started and keeps it for the whole
run: connections made before the proxy accepts, or while a dead proxy is
replaced, wait in the backlog instead of being refused.
"""

from __future__ import annotations

import socket

BACKLOG = 4096
"""Connections that may wait; the kernel caps it (``net.core.somaxconn``)."""


def open_listener() -> socket.socket:
    """Listen on a free port of the loopback interface. The descriptor is not inherited by default.

    Raises:
        OSError: No port is to be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    """The TCP port that ``listener`` is bound to."""
    port: int = listener.getsockname()[1]
    return port


def has_waiting(listener: socket.socket) -> bool:
    """Whether a connection waits that nobody has accepted."""
    import select

    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
