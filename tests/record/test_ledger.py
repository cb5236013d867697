from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.record.make import RUN, call, names
from tokenproxy.record import ledger as ledger_module
from tokenproxy.record.badge import Badge
from tokenproxy.record.ledger import (
    LedgerBusyError,
    LedgerError,
    Mark,
    append,
    iter_rows,
    mark,
    verify,
)
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import encode

WRITER = """
import sys, pathlib, json, time
from tokenproxy.record.badge import Badge
from tokenproxy.record.ledger import append
path, name, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# Every other one makes its locks by linking.
badge = Badge(path.parent / "runs" / f"{name}.badge") if int(name[1:]) % 2 else None
print("ready", flush=True)
sys.stdin.readline()
for n in range(count):
    row = {"who": f"{name}-{n}", "pad": "x" * (n * 37 % 3000)}
    append(path, [json.dumps(row).encode() + b"\\n"], wait_s=60, badge=badge)
    time.sleep(n % 3 / 1000)  # as calls come: else one writer is done before the next wakes up
"""

ANCESTOR = r"""
log=$1; lock="$log.lock"; tmp="$log.tmp.$$"
for n in $(seq 0 $(($2 - 1))); do
  printf '{"who": "bash-%s", "cost_usd": .060000}\n' "$n" > "$tmp"
  locked=
  for try in 1 2 3 4 5; do
    if mkdir "$lock" 2>/dev/null; then locked=1; break; fi
    sleep 0.1
  done
  cat "$tmp" >> "$log"; rm -f "$tmp"
  if [ -n "$locked" ]; then rmdir "$lock"; fi
done
"""

FULL = """
import sys, pathlib, resource
from tokenproxy.record.ledger import append, LedgerError
path = pathlib.Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    append(path, [b'{"n": 1}\\n', b'{"n": 2}\\n', b'{"n": 3}\\n'])
except LedgerError as error:
    print(error.written, error)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


def test_lines_are_appended_and_the_end_is_told(ledger: Path) -> None:
    assert mark(ledger) == Mark()
    first = append(ledger, [b'{"n": 1}\n'])
    second = append(ledger, [b'{"n": 2}\n', b'{"n": 3}\n'])
    assert [json.loads(line)["n"] for line in ledger.read_text().splitlines()] == [1, 2, 3]
    assert (first.size, second.size) == (9, 27)
    assert mark(ledger) == second
    assert names(ledger.parent) == [ledger.name]


def test_a_batch_is_one_write(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write

    def spy(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", spy)
    append(ledger, [b'{"n": 1}\n', b'{"n": 2}\n'])
    assert [data for data in writes if b'"n"' in data] == [b'{"n": 1}\n{"n": 2}\n']


def test_a_torn_tail_is_closed_and_kept(ledger: Path) -> None:
    ledger.write_bytes(b'{"n": 0}\n{"torn": "by some')
    append(ledger, [b'{"n": 1}\n'])
    assert ledger.read_bytes() == b'{"n": 0}\n{"torn": "by some\n{"n": 1}\n'
    assert [line.row is not None for line in iter_rows(ledger)] == [True, False, True]


KILLED = """
import os, sys, pathlib, signal
from tokenproxy.record import ledger
real, room = os.write, int(sys.argv[2])

def dying(fd, data):
    if b"pid" in data:
        return real(fd, data)
    real(fd, data[:room])
    os.kill(os.getpid(), signal.SIGKILL)

os.write = dying
ledger.append(pathlib.Path(sys.argv[1]), [b'{"n": 1}\\n', b'{"n": 2}\\n'])
"""


def killed(ledger: Path, room: int) -> None:
    """A writer of ours that is killed after so many bytes."""
    died = subprocess.run([sys.executable, "-c", KILLED, str(ledger), str(room)], check=False)
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize("room", [0, 1, 8, 9, 10, 17])
@pytest.mark.parametrize("before", [b"", b'{"n": 0}\n'])
def test_a_half_line_of_a_killed_writer_is_made_blank(
    ledger: Path, room: int, before: bytes
) -> None:
    ledger.write_bytes(before)
    killed(ledger, room)
    append(ledger, [b'{"n": 3}\n'])
    found = [json.loads(line)["n"] for line in ledger.read_text().splitlines()]
    assert found == [0] * bool(before) + [1] * (room >= 9) + [3]
    assert names(ledger.parent) == [ledger.name]


def test_several_killed_one_after_the_other(ledger: Path) -> None:
    for _ in range(3):
        killed(ledger, 12)
    append(ledger, [])
    assert [json.loads(line)["n"] for line in ledger.read_text().splitlines() if line.strip()] == [
        1,
        1,
        1,
    ]
    assert names(ledger.parent) == [ledger.name]


def test_killed_while_it_takes_a_killed_ones_lock(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third has not lost where the first began, at whatever step the second died."""
    killed(ledger, 12)

    def dying(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # as good as a kill, if nothing is freed

    for step in ("utime", "rename", "link", "open", "write"):
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt, LedgerError):
            patch.setattr(Path, "unlink", lambda *_: None)
            patch.setattr(os, step, dying)
            append(ledger, [b'{"n": 2}\n'])
    append(ledger, [b'{"n": 3}\n'], wait_s=2)
    found = [json.loads(line)["n"] for line in ledger.read_text().splitlines()]
    assert [found[0], found[-1]] == [1, 3]
    assert set(found[1:-1]) <= {2}, "of the second, where its step is not taken"
    assert names(ledger.parent) == [ledger.name]


@pytest.mark.parametrize("room", [0, 1, 5, 12])
def test_only_our_own_half_line_is_made_blank(ledger: Path, room: int) -> None:
    ledger.write_bytes(b'{"somebody": "els')
    killed(ledger, room)
    append(ledger, [b'{"n": 3}\n'])
    assert ledger.read_bytes().startswith(b'{"somebody": "els\n')
    assert [line.row["n"] for line in iter_rows(ledger) if line.row] == [1] * (room > 9) + [3]


def test_a_killed_writers_lock_says_nothing_of_another_file(ledger: Path) -> None:
    killed(ledger, 4)
    ledger.rename(ledger.with_name("rotated"))
    ledger.write_bytes(b'{"somebody": "els')
    append(ledger, [b'{"n": 3}\n'])
    assert ledger.read_bytes() == b'{"somebody": "els\n{"n": 3}\n'


def test_a_long_half_line(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_BLOCK", 2)
    killed(ledger, 14)
    append(ledger, [b'{"n": 3}\n'])
    assert [json.loads(line)["n"] for line in ledger.read_text().splitlines()] == [1, 3]


def test_a_half_line_that_cannot_be_made_blank_is_closed(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(ledger, 4)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    append(ledger, [b'{"n": 3}\n'])
    assert [line.row["n"] for line in iter_rows(ledger) if line.row] == [3]


def test_a_short_write_is_carried_on(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
    append(ledger, [b'{"n": 1}\n', b'{"n": 2}\n'])
    assert ledger.read_bytes() == b'{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize(
    ("room", "torn", "written", "left"),
    [
        (0, False, 0, b""),
        (4, False, 0, b"    "),
        (9, False, 1, b'{"n": 1}\n'),
        (13, False, 1, b'{"n": 1}\n    '),
        (0, True, 0, b"torn"),
        (1, True, 0, b"torn\n"),
        (10, True, 1, b'torn\n{"n": 1}\n'),
        (12, True, 1, b'torn\n{"n": 1}\n  '),
    ],
)
def test_a_write_that_fails_halfway_tells_what_is_whole(
    ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    room: int,
    torn: bool,
    written: int,
    left: bytes,
) -> None:
    if torn:
        ledger.write_bytes(b"torn")
    real, left_over = os.write, [room]

    def full(fd: int, data: bytes) -> int:
        if b"pid" in data or data == b"\n":
            return real(fd, data)
        if not left_over[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: left_over[0]])
        left_over[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(LedgerError, match="No space left") as raised:
            append(ledger, [b'{"n": 1}\n', b'{"n": 2}\n'])
    assert raised.value.written == written
    assert (ledger.read_bytes() if ledger.exists() else b"") == left
    rest = [b'{"n": 1}\n', b'{"n": 2}\n'][written:]
    append(ledger, rest)
    lines = ledger.read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines[torn:]] == [1, 2], "a strict parser reads it"
    assert [line.row["n"] for line in iter_rows(ledger) if line.row] == [1, 2]


@pytest.mark.parametrize(("limit", "written"), [(9, 1), (12, 1), (18, 2), (5, 0)])
def test_a_disk_that_is_really_full(ledger: Path, limit: int, written: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(ledger), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith(f"{written} The ledger {ledger} cannot be written")
    append(ledger, [f'{{"n": {n}}}\n'.encode() for n in range(written + 1, 4)])
    assert [line.row["n"] for line in iter_rows(ledger) if line.row] == [1, 2, 3]


def test_all_writers_at_once_and_every_row_whole_and_once(ledger: Path) -> None:
    ours, rows = 8, 200
    (ledger.parent / "runs").mkdir()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(ledger), f"w{n}", str(rows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(ours)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    ancestor = subprocess.Popen(["bash", "-c", ANCESTOR, "ancestor", str(ledger), "20"])
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    assert [process.wait(60) for process in (*writers, ancestor)] == [0] * (ours + 1)
    expected = sorted(
        [f"w{n}-{row}" for n in range(ours) for row in range(rows)]
        + [f"bash-{row}" for row in range(20)]
    )
    found = list(iter_rows(ledger))
    assert [line.problem for line in found if line.row is None] == []
    order = [line.row["who"] for line in found if line.row]
    assert sorted(order) == expected
    turns = sum(a.split("-")[0] != b.split("-")[0] for a, b in itertools.pairwise(order))
    assert turns > 2 * ours, "the writers did not meet"
    assert names(ledger.parent) == [ledger.name, "runs"]


ENDLESS = """
import sys, pathlib
from tokenproxy.record.badge import Badge
from tokenproxy.record.ledger import append
path, name = pathlib.Path(sys.argv[1]), sys.argv[2]
badge = Badge(path.parent / "runs" / f"{name}.badge")
for n in range(1_000_000):
    line = b'{"who": "%s-%d", "pad": "%s"}\\n' % (name.encode(), n, b"x" * 500)
    append(path, [line], badge=badge)
    print(n, flush=True)
"""


def test_writers_killed_in_the_middle_lose_nothing_that_was_written(ledger: Path) -> None:
    """Whatever moment they die at, the others go on, and what append returned for is there."""
    (ledger.parent / "runs").mkdir()
    acknowledged: dict[str, int] = {}
    for turn in range(6):
        writers = {
            f"w{turn}{n}": subprocess.Popen(
                [sys.executable, "-c", ENDLESS, str(ledger), f"w{turn}{n}"], stdout=subprocess.PIPE
            )
            for n in range(3)
        }
        for number, (name, writer) in enumerate(writers.items()):
            assert writer.stdout is not None
            for _ in range(20 + 7 * number + turn):
                assert writer.stdout.readline()
            writer.kill()
            told = [int(line) for line in writer.stdout.read().split(b"\n") if line.isdigit()]
            acknowledged[name] = max([19 + 7 * number + turn, *told])
            writer.wait()
            writer.stdout.close()
    append(ledger, [b'{"who": "after"}\n'], wait_s=1)
    found = [line.row["who"] for line in iter_rows(ledger) if line.row]
    assert found[-1] == "after"
    assert len(found) == len(set(found))
    for name, last in acknowledged.items():
        assert {f"{name}-{n}" for n in range(last + 1)} <= set(found)
    assert names(ledger.parent) == [ledger.name, "runs"]


def test_the_ancestor_waits_for_us_and_we_for_it(ledger: Path) -> None:
    """Both locks have one name: nobody is inside while the other is."""
    lock = ledger.with_name(ledger.name + ".lock")
    lock.mkdir()
    with pytest.raises(LedgerBusyError) as raised:
        append(ledger, [b"{}\n"], wait_s=0.05)
    assert raised.value.written == 0
    assert ledger.read_bytes() == b""
    lock.rmdir()
    append(ledger, [b"{}\n"])


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES])
def test_a_ledger_that_cannot_be_opened_is_one_sentence(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LedgerError, match=f"cannot be written: {os.strerror(fault)}"):
        append(ledger, [b"{}\n"])


def test_never_unlocked(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock cannot be made, neither way, nothing is written."""
    real = os.open
    badge = Badge(ledger.with_name("mine.badge"))

    def no_link(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "link", no_link)

    def no_lock(path: object, *rest: int) -> int:
        if str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(str(path), *rest)

    monkeypatch.setattr(os, "open", no_lock)
    with pytest.raises(LedgerError):
        append(ledger, [b"{}\n"], badge=badge)
    assert ledger.read_bytes() == b""


def test_what_is_appended_verifies(ledger: Path) -> None:
    append(ledger, [encode(make_row(call(), RUN, None)) for _ in range(3)])
    found = verify(ledger)
    assert found.sound
    assert found.rows == 3
