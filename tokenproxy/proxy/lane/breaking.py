"""A connection that is broken off, because its other side was: by a reset, not by an end.

To HTTP the end of a connection may be the end of a body (RFC 9112, section 6.3). A provider
that crashes in the middle of such a body resets its connection, and its client knows that
something is missing; were it told of an orderly end, half an answer would be a whole one.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import Final

WAIT_S: Final = 5.0
"""For a slow reader to take what was sent before; a reset throws away what it has not got."""
LOOK_S: Final = 0.02
_LINGER: Final = struct.pack("ii", 1, 0)
"""Close at once and with a reset (socket(7), SO_LINGER)."""


def break_off(transport: asyncio.Transport) -> None:
    """Reset the connection, as soon as what was written has arrived. Nothing is read any more."""
    if transport.is_closing():
        return
    transport.pause_reading()
    loop = asyncio.get_running_loop()
    _break_off(transport, loop, loop.time() + WAIT_S)


def _break_off(
    transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, deadline: float
) -> None:
    if transport.is_closing():
        return
    if (transport.get_write_buffer_size() or _unsent(transport)) and loop.time() < deadline:
        loop.call_later(LOOK_S, _break_off, transport, loop, deadline)
        return
    with contextlib.suppress(OSError, AttributeError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has and the other end has not; 0 where that cannot be told."""
    found = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, found)
    except (OSError, AttributeError):
        return 0
    return found[0]
