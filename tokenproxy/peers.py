"""Which user of this machine is at the other end of a loopback connection: the kernel's word.

Linux tells by ``sock_diag(7)``, one question for one pair of ports, answered in some
microseconds however many connections there are; where that is not to be had, by
``/proc/net/tcp``, which has to be read whole. Other systems tell nothing to us.

A socket whose program has closed it belongs to nobody any more: the kernel calls it
root's. Such a one is told from a living one by its inode, which is 0.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

type Address = tuple[str, int]
"""A literal IP address and a port."""

_SOCK_DIAG = 4
"""``NETLINK_SOCK_DIAG``, the family of netlink(7)."""
_BY_FAMILY, _REQUEST, _ERROR = 20, 1, 2
"""``SOCK_DIAG_BY_FAMILY``, ``NLM_F_REQUEST``, ``NLMSG_ERROR``."""
_HEAD = struct.Struct("=IHHII")
"""``nlmsghdr``."""
_ASKED = struct.Struct("=BBBBI 2s2s16s16s III")
"""``inet_diag_req_v2``."""
_TOLD = struct.Struct("=BBBB 48x III II")
"""``inet_diag_msg``: family, state, timer, retransmissions, then three counts, user, inode."""
_ANY = 0xFFFFFFFF
_BEFORE_IT_STANDS = (2, 3)
"""``TCP_SYN_SENT``, ``TCP_SYN_RECV``: a later connection of somebody else, by the same ports."""


class Peers:
    """Asks the kernel. Not for several threads at once."""

    def __init__(self, listener: socket.socket) -> None:
        """Find out how it can be asked.

        Args:
            listener: A socket of this process that listens on a loopback address: whose it is
                must be told first.

        Raises:
            OSError: The kernel does not tell.
        """
        self._netlink: socket.socket | None = None
        self._number = 0
        """Of the last question."""
        here = listener.getsockname()[:2]
        nobody = ("::" if ":" in here[0] else "0.0.0.0", 0)  # noqa: S104 - the far end of a listener
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._netlink = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG
                )
                if self.user_of(here, nobody) == os.geteuid():
                    return
            self.close()
            if self.user_of(here, nobody) == os.geteuid():
                return
        raise OSError("this system does not tell whose a connection is")

    def user_of(self, client: Address, here: Address) -> int | None:
        """The user (numeric id) whose program holds the far end of a connection.

        Args:
            client: The far end.
            here: Our end.

        Returns:
            None if nobody holds it any more.

        Raises:
            OSError: The kernel does not answer.
        """
        if self._netlink is not None:
            with contextlib.suppress(OSError):  # short of memory, say
                return self._asked(self._netlink, client, here)
        return _listed(client, here)

    def _asked(self, netlink: socket.socket, client: Address, here: Address) -> int | None:
        self._number = self._number % _ANY + 1
        family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
        body = _ASKED.pack(
            family,
            socket.IPPROTO_TCP,
            0,
            0,
            _ANY,
            client[1].to_bytes(2),
            here[1].to_bytes(2),
            socket.inet_pton(family, client[0]),
            socket.inet_pton(family, here[0]),
            0,
            _ANY,
            _ANY,
        )
        head = _HEAD.pack(_HEAD.size + len(body), _BY_FAMILY, _REQUEST, self._number, 0)
        netlink.send(head + body)
        number, answer = 0, b""
        while number != self._number:  # one that was given up may still be answered
            answer = netlink.recv(4096, socket.MSG_DONTWAIT)
            number = _HEAD.unpack_from(answer)[3]
        if _HEAD.unpack_from(answer)[1] == _ERROR:
            return None
        _, state, _, _, _, _, _, user, inode = _TOLD.unpack_from(answer, _HEAD.size)
        return user if inode and state not in _BEFORE_IT_STANDS else None

    def close(self) -> None:
        """Ask no more by netlink."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None


def telling(listener: socket.socket) -> bool:
    """Whether this system tells whose a connection to ``listener`` is."""
    try:
        Peers(listener).close()
    except OSError:
        return False
    return True


def _listed(client: Address, here: Address) -> int | None:
    """The same from ``/proc/net``. A client may hold a socket of IPv6 that speaks IPv4."""
    tables = {"tcp6": [_as_listed(client, here)]}
    if ":" not in client[0]:
        tables = {
            "tcp": [_as_listed(client, here)],
            "tcp6": [
                _as_listed((f"::ffff:{client[0]}", client[1]), (f"::ffff:{here[0]}", here[1]))
            ],
        }
    for name, wanted in tables.items():
        try:
            lines = Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1:3] in wanted:
                state, user, inode = int(fields[3], 16), int(fields[7]), int(fields[9])
                return user if inode and state not in _BEFORE_IT_STANDS else None
    return None


def _as_listed(*ends: Address) -> list[str]:
    return [f"{_words(host)}:{port:04X}" for host, port in ends]


def _words(host: str) -> str:
    """An address as ``/proc/net`` has it: words of 32 bits, each in the machine's own order."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", packed))
