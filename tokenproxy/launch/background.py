"""Start a process of ours behind the command's back: it gets nothing of what the command gets.

By posix_spawn(3), without :mod:`subprocess`, whose import the user's command would wait for.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from tokenproxy.launch.signals import CAUGHT, CHANGED_BY_PYTHON

STDIN, STDOUT, STDERR = range(3)
_MANY = 4096
"""Descriptors that are looked at where the system cannot list them."""


def spawn(
    argv: Sequence[str], env: Mapping[str, str], *, output: int, keep: Collection[int]
) -> int:
    """Start a program in a session of its own; its pid.

    It reads from nowhere. Every signal acts on it as if we had been given none ignored or
    blocked.

    Args:
        argv: The program's path and its arguments.
        env: Its environment.
        output: Descriptor of the file that its stdout and stderr go to.
        keep: Descriptors that it gets, by the same numbers; of all others none.

    Raises:
        OSError: There is no such program, or no process is to be had.
    """
    # Ours are closed by exec. The others came to us, and somebody may wait for their end.
    passed = {descriptor for descriptor in _inheritable() if descriptor > STDERR}
    changed = passed.symmetric_difference(keep)
    try:
        for descriptor in changed:
            os.set_inheritable(descriptor, descriptor in keep)
        return os.posix_spawn(
            argv[0],
            list(argv),
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, STDIN, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, STDOUT),
                (os.POSIX_SPAWN_DUP2, output, STDERR),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef={*CAUGHT, *CHANGED_BY_PYTHON},
        )
    finally:
        for descriptor in changed:
            os.set_inheritable(descriptor, descriptor in passed)


def _inheritable() -> list[int]:
    """Open descriptors that exec leaves open."""
    try:
        candidates = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are all there is
    except OSError:
        candidates = list(range(_MANY))
    found = []
    for descriptor in candidates:
        try:
            if os.get_inheritable(descriptor):
                found.append(descriptor)
        except OSError:  # the listing's own
            continue
    return found
