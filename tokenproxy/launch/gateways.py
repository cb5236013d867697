"""A run behind a gateway of the same user's: the innermost one records, here too.

The command's environment may lead to a ``tokenproxy serve`` (``HTTPS_PROXY``, a base URL). The
run's calls go on through it, as they would without the run; but if both recorded them, each
would count twice. So a gateway leaves a note in the state directory: where it listens, and a mark
that it made up. A run that finds the note shows the mark to that gateway alone, and for
what shows it the gateway is no more than the way: as a step of the base URL's path, as the user's
name at a proxy. No request that goes on to a provider has it.

Whom this trusts: who can read the mark (the directory is 0700) can write the ledger as well. All
others, and a gateway of another user, of a container or of another machine, know no such mark;
what they send is recorded. A gateway that is gone has no mark: the note is only good while it is
locked, so that whoever listens on the port later is shown nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tokenproxy import paths
from tokenproxy.launch.plan import Plan
from tokenproxy.launch.routes import is_here
from tokenproxy.wire.providers import PROVIDERS

_PATH = re.compile(r"((?:/~[^/]*)?)(/*([^/]*).*)")
"""A base URL's path: the gateway's token, if one is shown; what is below it, and its first step."""


_TRIES, _PAUSE_S = 20, 0.005


class Note(msgspec.Struct, frozen=True):
    """What a gateway leaves."""

    mark: str


class Registration:
    """A gateway's note, good until this is closed or the process ends."""

    def __init__(self, state: Path, host: str, port: int) -> None:
        """Leave it; where that is impossible its runs are recorded twice, and nothing else fails.

        Args:
            state: Our state directory.
            host: The address that the gateway is bound to.
            port: Its port.
        """
        import secrets  # a run, which only reads, starts sooner without

        self.mark = f"run-{secrets.token_hex(16)}"
        self._file = _file(state, host, port)
        self._fd: int | None = None
        with contextlib.suppress(OSError):
            paths.make_private(self._file.parent)
            _tidy(self._file.parent)
            self._fd = self._leave()

    def _leave(self) -> int:
        """Write the note. Returns the file, whose lock is ours.

        Raises:
            OSError: It cannot be written, or is a living gateway's: two containers may have one
                state directory, and the same port each.
        """
        while True:
            fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(fd)
                if _is_at(fd, self._file):
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, msgspec.json.encode(Note(self.mark)), 0)
                    return fd
            except OSError:
                os.close(fd)
                raise
            os.close(fd)  # tidied away before it was ours

    def close(self) -> None:
        """Take it away. To be called while the port is still ours."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()
            os.close(self._fd)
            self._fd = None


def behind(plan: Plan, state: Path) -> Plan:
    """``plan``, with marks for the gateways of ours that its calls go on through."""
    upstreams, leads = dict(plan.upstreams), {}
    for name, url in plan.upstreams.items():
        mark = _mark(state, url)
        if mark is None:
            continue
        parts = urlsplit(url)
        path = _PATH.fullmatch(parts.path)
        if path is None:
            continue
        token, below, first = path.groups()
        upstreams[name] = parts._replace(path=f"{token}/~{mark}{below}").geturl()
        if first in PROVIDERS:
            leads[name] = first
    proxy_mark = _mark(state, plan.upstream_proxy) if plan.upstream_proxy else None
    return msgspec.structs.replace(plan, upstreams=upstreams, leads=leads, proxy_mark=proxy_mark)


def _mark(state: Path, url: str) -> str | None:
    """The mark of the gateway that a URL names; None unless one of ours lives there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or port is None or not is_here(host):
        return None
    host = "127.0.0.1" if host == "localhost" else host
    every = "::" if ":" in host else "0.0.0.0"  # noqa: S104 - not to listen on: to look for
    for bound in (host, every):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            if (note := _read(_file(state, bound, port))) is not None:
                return note.mark
    return None


def _read(file: Path) -> Note | None:
    """A note whose gateway lives.

    Raises:
        OSError: There is none.
        MsgspecError: It is being written.
    """
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=Note)
    finally:
        os.close(fd)
    return None


def _lock(fd: int) -> None:
    """Make a note ours. A reader has it for a moment, a gateway for life.

    Raises:
        OSError: It is a gateway's.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE_S)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _tidy(directory: Path) -> None:
    """Remove the notes of gateways that were killed: one on the same port may never come."""
    for file in directory.iterdir():
        with contextlib.suppress(OSError):
            fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(fd, file):
                    file.unlink()
            finally:
                os.close(fd)


def _is_at(fd: int, file: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(fd), file.stat())
    except FileNotFoundError:
        return False


def _file(state: Path, host: str, port: int) -> Path:
    return state / "gateways" / f"{port}-{host.replace(':', '_')}"
