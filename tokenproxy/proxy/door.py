"""Who may use the listener: users of this machine by the kernel's word, or who shows a secret.

Theory of operation. On Linux the kernel says at once whose a loopback connection is, so
clients need to send nothing and nothing can leak from their URLs. A user belongs to a run if

- it is the one that we run as, or root, who could read our memory anyway;
- ``/etc/subuid`` has lent it to the one that we run as (containers without root);
- a living process of the run has become it: a command that was started as root and gives
  that up, or one by sudo.

Elsewhere, and for gateways that other machines reach, a secret has to be shown: as the
password of a proxy's URL (``Proxy-Authorization``), as the first step of a base URL's path
(``/~SECRET/anthropic``), or in a header of its own. It is for us alone and goes no further.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import os
import re
import socket
import time
import weakref
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from pathlib import Path

from tokenproxy.config import Admission
from tokenproxy.peers import Peers

logger = logging.getLogger(__name__)

TOKEN_HEADER = "x-tokenproxy-token"  # noqa: S105 - a header's name
AGAIN_S = 0.1
"""How long a user that does not belong to the run is not looked for again."""
SUBUID = Path("/etc/subuid")

_SHOWN_IN = re.compile(rb"\r\n(proxy-authorization|x-tokenproxy-token):([^\r\n]*)", re.IGNORECASE)
_STATUS = re.compile(rb"\nPPid:\t(\d+)\n(?:[^\n]*\n)*?Uid:\t\d+\t(\d+)\t")
"""Of ``/proc/PID/status``: the parent, and the user by whose rights it acts."""
_LINE = re.compile(rb"([A-Z]+ (?:http://[^/ ]*)?)(/~[^ ]*)")
"""Up to a path that may begin with the secret, and that."""
_STEP = re.compile(rb"/~([^/?]*)")


class Door:
    """Lets connections in, and requests."""

    def __init__(
        self,
        admission: Admission,
        listener: socket.socket | None,
        warn: Callable[[str], object],
        *,
        run_mark: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            admission: Who may come in.
            listener: On a loopback address, where users are told apart.
            warn: Takes a sentence for the user.
            run_mark: Who shows this as a name is a run that records its calls itself.

        Raises:
            OSError: Users cannot be told apart here.
        """
        self._warn = warn
        self._peers = Peers(listener) if admission.users and listener is not None else None
        self._launcher = admission.launcher
        self._secret = admission.secret.encode() if admission.secret else None
        self._users = {os.geteuid(), 0}
        self._lent = lent_users() if admission.users else ()
        self._strangers: dict[int, float] = {}
        """User -> when (monotonic) it was found not to belong to the run."""
        self._mark = run_mark.encode() if run_mark else None
        self.inside: weakref.WeakSet[object] = weakref.WeakSet()
        """mitmproxy's connections whose tunnel was let in: what is in it needs to show nothing."""
        self.relayed: weakref.WeakSet[object] = weakref.WeakSet()
        """Connections, and mitmproxy's, whose tunnel is a run's that records what is in it."""
        self.unread: weakref.WeakSet[object] = weakref.WeakSet()
        """mitmproxy's connections whose tunnel is not opened here."""

    @property
    def asks(self) -> bool:
        """Whether every request has to show the secret."""
        return self._secret is not None

    # -- connections ----------------------------------------------------------

    def knows(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a connection's user may use the listener. 20 µs, once a connection."""
        if self._peers is None:
            return True
        client, here = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        user = None
        if client and here:
            with suppress(OSError):
                user = self._peers.user_of(client[:2], here[:2])
        if user is None:
            return False  # it is gone again
        if user in self._users or any(user in lent for lent in self._lent):
            return True
        if self._belongs(user):
            self._users.add(user)
            return True
        self._warn(f"user {user} of this machine came to tokenproxy's port and was sent away")
        return False

    def _belongs(self, user: int) -> bool:
        now = time.monotonic()
        if not self._launcher or now < self._strangers.get(user, 0) + AGAIN_S:
            return False
        # One that has ended leaves its number to others.
        if os.getppid() == self._launcher and user in users_below(self._launcher):
            return True
        self._strangers[user] = now
        return False

    # -- requests -------------------------------------------------------------

    def let_in(self, head: bytes) -> bytes | None:
        """A request's head without the secret that it shows; None if it does not show it."""
        if self._secret is None:
            return head
        shown = [_password(field[1], field[2]) for field in _SHOWN_IN.finditer(head)]
        head = _SHOWN_IN.sub(b"", head)
        line = _LINE.match(head)
        path = self._below_secret(line[2]) if line is not None else None
        if line is not None and path is not None:
            return line[1] + path + head[line.end() :]
        return head if self._is_shown(shown) else None

    def is_of_run(self, head: bytes) -> bool:
        """Whether the head of a CONNECT shows the mark of a run of the same user's."""
        if self._mark is None:
            return False
        return any(self.is_runs_login(field[2]) for field in _SHOWN_IN.finditer(head))

    def is_runs_login(self, value: bytes) -> bool:
        """Whether a ``Proxy-Authorization`` does."""
        return self._mark is not None and hmac.compare_digest(_login(value)[0], self._mark)

    def inside_tunnel(self, head: bytes) -> bytes:
        """The head of a request in a tunnel that was let in: what it shows all the same is kept."""
        return head if self._secret is None else _SHOWN_IN.sub(b"", head)

    def let_in_request(self, path: str, fields: MutableMapping[str, str]) -> str | None:
        """The same of a request that is taken apart already.

        Args:
            path: Path and query.
            fields: Header fields; the secret's are removed.

        Returns:
            The path without the secret; None if it is shown nowhere.
        """
        shown = []
        for name in ("proxy-authorization", TOKEN_HEADER):
            if name in fields:
                value = fields.pop(name).encode("utf-8", "surrogateescape")
                shown.append(_password(name.encode(), value))
        below = self._below_secret(path.encode("utf-8", "surrogateescape"))
        if below is not None:
            return below.decode("utf-8", "surrogateescape")
        return path if self._is_shown(shown) else None

    def _below_secret(self, path: bytes) -> bytes | None:
        """A path without the secret that it begins with; None if it begins with another step.

        Others may begin so too: ``/~alice`` is a user's page on many a server.
        """
        found = _STEP.match(path)
        if found is None or not self._is_shown([found[1]]):
            return None
        rest = path[found.end() :]
        return rest if rest.startswith(b"/") else b"/" + rest

    def take_off(self, fields: MutableMapping[str, str]) -> dict[str, str]:
        """Remove the fields that may show the secret, where one is asked for."""
        if self._secret is None:
            return {}
        names = ("proxy-authorization", TOKEN_HEADER)
        return {name: fields.pop(name) for name in names if name in fields}

    def _is_shown(self, candidates: Iterable[bytes]) -> bool:
        secret = self._secret or b""
        return any(hmac.compare_digest(one, secret) for one in candidates)


def _password(name: bytes, value: bytes) -> bytes:
    """What a header field shows: a proxy's password, a bearer's token, or just the token."""
    value = value.strip()
    if name.lower() == TOKEN_HEADER.encode():
        return value
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() == b"basic":
        return _login(value)[1]
    return rest.strip() if scheme.lower() == b"bearer" else b""


def _login(value: bytes) -> tuple[bytes, bytes]:
    """Name and password of ``Basic …``; empty ones of whatever else."""
    scheme, _, rest = value.strip().partition(b" ")
    if scheme.lower() == b"basic":
        with suppress(binascii.Error):
            name, _, password = base64.b64decode(rest).partition(b":")
            return name, password
    return b"", b""


def lent_users() -> tuple[range, ...]:
    """Users that this machine lets ours have for its containers (subuid(5))."""
    names = {str(os.geteuid())}
    with suppress(KeyError, OSError, ImportError):
        import pwd

        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    found = []
    with suppress(OSError, ValueError):
        for line in SUBUID.read_text(encoding="utf-8").splitlines():
            name, first, count = line.split(":")
            if name in names:
                found.append(range(int(first), int(first) + int(count)))
    return tuple(found)


def users_below(root: int) -> set[int]:
    """The users of a process's living descendants, as far as they can be seen."""
    parents: dict[int, int] = {}
    users: dict[int, int] = {}
    for place in os.scandir("/proc"):
        if not place.name.isdigit():
            continue
        with suppress(OSError):  # it has ended
            status = _STATUS.search(Path(place.path, "status").read_bytes())
            if status is not None:
                parents[int(place.name)], users[int(place.name)] = map(int, status.groups())
    below = {root}
    found_one = True
    while found_one:  # a process may have a lower number than its parent
        more = {pid for pid, parent in parents.items() if parent in below} - below
        below |= more
        found_one = bool(more)
    return {users[pid] for pid in below if pid in users}
