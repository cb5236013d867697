"""Find the command as a shell would, before anything is disturbed.

Three cases, with a shell's statuses:

- There is no such file on ``PATH`` (or at the path given): 127. So it is for a
  script whose ``#!`` interpreter does not exist.
- There is one, but it is not for us to execute, or it is a directory, or a
  binary of no format that the kernel knows: 126.
- A text file without ``#!``: run by ``/bin/sh``, as execvp(3) and every shell do.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence

import msgspec

from tokenproxy.launch.errors import NOT_EXECUTABLE, NOT_FOUND, CannotRunError

SAMPLE = 256
"""Bytes read to tell a script from a binary; Linux reads as many for ``#!``."""


class Executable(msgspec.Struct, frozen=True):
    """A command that the kernel will accept."""

    path: str
    argv: tuple[str, ...]
    """``argv[0]`` as the user wrote it, unless ``/bin/sh`` must read the file."""


def find(command: Sequence[str], env: Mapping[str, str]) -> Executable:
    """The file that ``command`` names under ``env``'s ``PATH``.

    Raises:
        CannotRunError: 127 or 126, with a sentence.
    """
    name = command[0]
    path = name if "/" in name else _search(name, env.get("PATH", os.defpath))
    try:
        sample = _sample(path)
    except OSError as error:
        raise _fault(name, error) from None
    if not sample.startswith(b"#!"):
        return Executable(path, tuple(command))
    words = sample[2:].split(b"\n", 1)[0].split(None, 1)
    interpreter = os.fsdecode(words[0]) if words else "/bin/sh"
    if not os.path.exists(interpreter):  # noqa: PTH110 - a Path would normalise what exec does not
        raise CannotRunError(
            f"{name}: its interpreter {interpreter} does not exist", NOT_FOUND
        ) from None
    return Executable(path, tuple(command))


def read_by_shell(program: Executable) -> Executable:
    """What to run when the kernel refused ``program`` with ENOEXEC.

    Raises:
        CannotRunError: 126; it is a binary, which no shell could read.
    """
    try:
        sample = _sample(program.path)
    except OSError as error:
        raise _fault(program.argv[0], error) from None
    if b"\0" in sample.split(b"\n", 1)[0]:
        raise CannotRunError(
            f"{program.argv[0]}: not a program for this machine (exec format error)",
            NOT_EXECUTABLE,
        )
    return Executable("/bin/sh", ("/bin/sh", program.path, *program.argv[1:]))


def refused(program: Executable, error: OSError) -> CannotRunError:
    """The sentence for a program that the kernel would not start after all."""
    return _fault(program.argv[0], error)


def _search(name: str, path: str) -> str:
    found = None
    if name:
        for directory in path.split(os.pathsep):
            candidate = os.path.join(directory or ".", name)  # noqa: PTH118 - exec takes a string
            try:
                mode = os.stat(candidate).st_mode  # noqa: PTH116 - likewise
            except OSError:
                continue
            if stat.S_ISREG(mode):
                if os.access(candidate, os.X_OK):
                    return candidate
                found = found or candidate
    if found is None:
        raise CannotRunError(f"{name or repr(name)}: command not found", NOT_FOUND)
    return found


def _sample(path: str) -> bytes:
    mode = os.stat(path).st_mode  # noqa: PTH116 - the path is the user's, to the letter
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode) or not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - likewise
            return file.read(SAMPLE)
    except PermissionError:
        return b""  # executable, not readable: the kernel will know


def _fault(name: str, error: OSError) -> CannotRunError:
    missing = error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP)
    sentence = "command not found" if missing and "/" not in name else error.strerror
    status = NOT_FOUND if missing else NOT_EXECUTABLE
    return CannotRunError(f"{name}: {sentence}", status)
