"""The number of an iteration: given, or one more than the last of its series.

A series is a story in a ledger, or a directory where there is no story. Its
last number is kept in a small file of its own under the state directory, so
that neither concurrent runs get the same number nor a long ledger is read. Only
where there is no such file yet (another machine, the ancestor's ledger) the end
of the ledger is looked at, backwards and not further than :data:`TAIL_BYTES`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tokenproxy import ids
from tokenproxy.paths import state_dir

TAIL_BYTES = 8 * 1024 * 1024
"""How far back the ledger is searched for a series that has no counter."""

_ROWS_AROUND = 1_000
"""Concurrent runs finish out of order: the largest number among so many rows counts."""

_LOCK_WAIT_S = 2.0
_LOCK_PAUSE_S = 0.005


def next_iteration(
    ledger: Path,
    story_id: str,
    project: str,
    given: int | None = None,
    *,
    directory: Path | None = None,
    state: Path | None = None,
) -> int:
    """The number of the iteration that begins now. No two runs get the same.

    Args:
        ledger: The ledger; it need not exist.
        story_id: The story, any text; "" if none.
        project: The directory's project, by which rows without a story are told apart.
        given: The number that the caller wants; the series goes on from there.
        directory: The series where there is no story; default the working directory.
        state: The state directory; default the user's.

    Raises:
        OSError: There is no working directory any more, and none was named.
    """
    series = _series(ledger, story_id, directory or Path.cwd())
    try:
        counter = (state or state_dir()) / "iterations" / series
        counter.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(counter) as fd:
            if given is None:
                last = _read(fd)
                if last is None:
                    last = _last_in_ledger(ledger, story_id, project)
                given = last + 1
            _write(fd, given)
            return given
    except OSError:
        # A number that may not be unique is better than no run.
        return _last_in_ledger(ledger, story_id, project) + 1 if given is None else given


def _series(ledger: Path, story_id: str, directory: Path) -> str:
    where = os.path.realpath(ledger)
    words = ("story", where, story_id) if story_id else ("dir", where, os.path.realpath(directory))
    return ids.digest("\0".join(words).encode(errors="surrogateescape"), 16)


@contextmanager
def _locked(counter: Path) -> Iterator[int]:
    fd = os.open(counter, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LOCK_PAUSE_S)
        yield fd
    finally:
        os.close(fd)


def _read(fd: int) -> int | None:
    """The counter; None if it is new or was cut off in writing (the newline comes last)."""
    text = os.pread(fd, 32, 0)
    if text.endswith(b"\n"):
        with suppress(ValueError):
            return int(text)
    return None


def _write(fd: int, number: int) -> None:
    text = b"%d\n" % number
    os.ftruncate(fd, 0)
    os.pwrite(fd, text, 0)


def _last_in_ledger(ledger: Path, story_id: str, project: str) -> int:
    """The series' last number according to the ledger's end; 0 if it is not there."""
    from tokenproxy.record.lines import tail_rows

    last, since = 0, 0
    with suppress(OSError):
        for row in tail_rows(ledger, TAIL_BYTES):
            if since > _ROWS_AROUND:
                break
            if _belongs(row, story_id, project):
                number = row.get("iteration")
                if isinstance(number, int) and not isinstance(number, bool):
                    last = max(last, number)
            since += last > 0
    return last


def _belongs(row: Mapping[str, Any], story_id: str, project: str) -> bool:
    if row.get("story_id", "") != story_id:
        return False
    # The ancestor's rows name no project; its ledger lies in the project's directory.
    return bool(story_id) or row.get("project", project) == project
