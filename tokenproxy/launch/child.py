"""The command: started as its user's shell would have started it, and watched.

It is spawned into our own process group, with the signal mask and the ignored
signals that we were given, every descriptor that we were given and none of ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from typing import NoReturn

from tokenproxy.launch import executable
from tokenproxy.launch.errors import NOT_FOUND, SIGNALLED
from tokenproxy.launch.executable import Executable
from tokenproxy.launch.signals import Inbox


class Child:
    """A process of ours that runs the command."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        """Once it has ended: its exit status as a shell has it, 128 + n for signal n."""
        self.signal: int | None = None
        """Once it has ended, of a signal: which."""

    @property
    def ended(self) -> bool:
        """Whether it has ended, and been waited for."""
        return self.status is not None

    def changed(self, wait_status: int) -> int | None:
        """Take in what waitpid(2) has reported. Returns the signal that has *stopped* it, if so."""
        if os.WIFSTOPPED(wait_status):
            return os.WSTOPSIG(wait_status)
        if os.WIFSIGNALED(wait_status):
            self.signal = os.WTERMSIG(wait_status)
            self.status = SIGNALLED + self.signal
        elif os.WIFEXITED(wait_status):
            self.status = os.WEXITSTATUS(wait_status)
        return None

    def send(self, number: int) -> None:
        """Send it a signal. It cannot be another process: it is waited for only once."""
        if not self.ended:
            with contextlib.suppress(PermissionError):  # sudo: nor could its user have
                os.kill(self.pid, number)


def spawn(program: Executable, env: Mapping[str, str], inbox: Inbox) -> Child:
    """Start ``program``.

    Raises:
        CannotRunError: 126 or 127; the kernel would not have it.
    """
    try:
        return Child(_spawn(program, env, inbox))
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise executable.refused(program, error) from None
    program = executable.read_by_shell(program)
    try:
        return Child(_spawn(program, env, inbox))
    except OSError as error:
        raise executable.refused(program, error) from None


def _spawn(program: Executable, env: Mapping[str, str], inbox: Inbox) -> int:
    """Fork and exec.

    Not posix_spawn(3): it cannot ignore a signal for the child alone, and glibc's
    leaves two internal signals ignored in it.

    Raises:
        OSError: exec's, brought over from the child; or no process is to be had.
    """
    read, write = os.pipe()  # closed by a successful exec
    inbox.hold()
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, env, inbox, write)
    finally:
        inbox.release()
        os.close(write)
    with os.fdopen(read, "rb") as refusal:
        number = refusal.read()
    if number:
        os.waitpid(pid, 0)
        raise OSError(int(number), os.strerror(int(number)))
    return pid


def _become(program: Executable, env: Mapping[str, str], inbox: Inbox, refusal: int) -> NoReturn:
    try:
        inbox.give_up()
        os.execve(program.path, program.argv, env)  # noqa: S606 - the user's command, as given
    except OSError as error:
        os.write(refusal, str(error.errno).encode())
    finally:
        os._exit(NOT_FOUND)
