from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.record.make import RUN, T0, call, end, names, reading, start
from tokenproxy.record import journal as journal_module
from tokenproxy.record import lock_file
from tokenproxy.record.journal import (
    Asked,
    Closed,
    Ended,
    Header,
    Journal,
    Opened,
    Record,
    Replay,
    Seen,
    Told,
    disown,
    own_dead,
)
from tokenproxy.record.ledger import Mark
from tokenproxy.record.lineage import Link
from tokenproxy.wire.usage import RequestFacts

HEADER = Header(run=RUN, ledger="/somewhere/ledger.jsonl", mark=Mark(7, 100))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-1" / "journal-0.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path, HEADER)
    yield made
    made.close(settled=True)
    made.close(settled=True)


def write(journal: Journal, *records: Record) -> None:
    for record in records:
        journal.add(record)
    journal.flush()


def replay(path: Path) -> Replay:
    with path.open("rb") as file:
        return Replay.read(file)


@pytest.mark.usefixtures("journal")
def test_a_new_journal_names_its_run_and_ledger(path: Path) -> None:
    assert replay(path).header == HEADER
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_one_flush_is_one_write(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write

    def spy(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", spy)
    write(journal, Opened(start=start()), Opened(start=start()))
    journal.flush()
    assert len(writes) == 1
    assert writes[0].count(b"\n") == 2


def deep() -> dict[str, Any]:
    """What no JSON encoder takes."""
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"a": value}
    return value


def test_a_record_that_is_no_json_silences_nobody(journal: Journal, path: Path) -> None:
    bad = Seen(id="c1", at_ns=T0, reading=reading(usage=[deep()]))
    write(journal, Opened(start=start("c1")), bad, Opened(start=start("c2")))
    write(journal, Opened(start=start("c3")))
    assert list(replay(path).pending) == ["c1", "c2", "c3"]
    journal.rewrite([HEADER, bad, Opened(start=start("c4"))])
    assert list(replay(path).pending) == ["c4"]


def test_the_story_of_a_call_is_told_again(journal: Journal, path: Path) -> None:
    begun, facts, link = start("c1"), RequestFacts(model="m"), Link(attempt=1, retry_of="c0")
    write(
        journal,
        Opened(start=begun),
        Asked(id="c1", request=facts, link=link),
        Seen(id="c1", at_ns=T0 + 1, reading=reading(completeness="partial")),
        Seen(id="c1", at_ns=T0 + 2, reading=reading()),
    )
    (pending,) = replay(path).pending.values()
    assert (pending.start, pending.request, pending.link) == (begun, facts, link)
    assert (pending.reading, pending.last_ns, pending.ended) == (reading(), T0 + 2, None)
    assert pending.mark == Mark(7, 100)
    whole = call(begun, end())
    write(journal, Ended(call=whole), Told(ids=("c1", "unknown")))
    (pending,) = replay(path).pending.values()
    assert pending.ended == whole
    assert pending.told
    write(journal, Closed(ids=("c1", "unknown"), mark=Mark(7, 200)))
    assert replay(path).pending == {}


def test_a_later_call_lies_behind_a_later_mark(journal: Journal, path: Path) -> None:
    write(
        journal,
        Opened(start=start("early")),
        Opened(start=start("gone")),
        Closed(ids=("gone",), mark=Mark(7, 300)),
        Opened(start=start("late")),
        Closed(ids=()),
        Opened(start=start("last")),
    )
    marks = {name: one.mark.size for name, one in replay(path).pending.items()}
    assert marks == {"early": 100, "late": 300, "last": 300}


def test_records_of_unknown_calls_are_passed_over(journal: Journal, path: Path) -> None:
    write(
        journal,
        Seen(id="x", at_ns=1, reading=reading()),
        Asked(id="x", request=RequestFacts(), link=Link()),
    )
    assert replay(path).pending == {}


def test_a_torn_tail_and_later_versions_are_passed_over(journal: Journal, path: Path) -> None:
    write(journal, Opened(start=start("c1")))
    journal.close(settled=False)
    with path.open("ab") as file:
        file.write(b'{"t": "invented", "x": 1}\n\xff\xfe\n{"t":"closed","ids":["c1')
    assert list(replay(path).pending) == ["c1"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_no_content_raises(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(content)
    found = replay(path)
    assert found.header is None
    assert found.foreign == (b"\n" in content)


def test_a_write_that_failed_leaves_one_bad_line(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, room = os.write, [20]

    def full(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            write(journal, Opened(start=start("torn")))
    write(journal, Opened(start=start("c2")))
    assert list(replay(path).pending) == ["c2"]


def test_text_that_is_no_unicode_is_journaled(journal: Journal, path: Path) -> None:
    write(journal, Opened(start=start("caf\udce9")))
    assert list(replay(path).pending) == ["caf?"]


@pytest.mark.usefixtures("journal")
def test_a_living_owner_keeps_its_journal(path: Path) -> None:
    assert own_dead(path) is None


def test_a_dead_owner_loses_it_to_one(journal: Journal, path: Path) -> None:
    journal.close(settled=False)
    fd = own_dead(path)
    assert fd is not None
    assert own_dead(path) is None
    path.unlink()
    os.close(fd)
    assert own_dead(path) is None


def test_a_journal_that_was_settled_meanwhile_is_left(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened before another recoverer deleted it, locked after."""
    journal.close(settled=False)
    real = os.open

    def open_and_lose(name: str, flags: int) -> int:
        fd = real(name, flags)
        path.unlink()
        return fd

    monkeypatch.setattr(os, "open", open_and_lose)
    assert own_dead(path) is None


@pytest.mark.usefixtures("journal")
def test_a_taken_name_is_not_written_into(path: Path) -> None:
    beside = Journal(path, HEADER)
    assert beside.path == path.with_name("journal-0.1.jsonl")
    write(beside, Opened(start=start()))
    assert replay(path).pending == {}
    beside.close(settled=True)


def test_settled_is_deleted_and_unsettled_is_left(journal: Journal, path: Path) -> None:
    beside = Journal(path, HEADER)
    beside.close(settled=False)
    journal.close(settled=True)
    assert names(path.parent) == ["journal-0.1.jsonl"]


def test_rewriting_replaces_all_at_once_and_stays_owned(journal: Journal, path: Path) -> None:
    write(journal, *(Opened(start=start(f"c{n}")) for n in range(50)))
    size = path.stat().st_size
    journal.rewrite([HEADER, Opened(start=start("c7"))])
    assert list(replay(path).pending) == ["c7"]
    assert path.stat().st_size < size / 10
    assert names(path.parent) == [path.name]
    assert own_dead(path) is None
    write(journal, Opened(start=start("new")))
    assert list(replay(path).pending) == ["c7", "new"]


def test_a_failed_rewriting_leaves_the_old_one(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, Opened(start=start("c1")))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="No space"):
            journal.rewrite([HEADER])
    assert list(replay(path).pending) == ["c1"]
    assert names(path.parent) == [path.name]
    write(journal, Opened(start=start("c2")))
    assert list(replay(path).pending) == ["c1", "c2"]


def test_it_says_when_rewriting_is_worth_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "COMPACT_BYTES", 2_000)
    journal = Journal(path, HEADER)
    found = [journal.bloated]
    write(journal, *(Opened(start=start()) for _ in range(10)))
    found.append(journal.bloated)
    journal.rewrite([HEADER])
    found.append(journal.bloated)
    assert found == [False, True, False]
    journal.close(settled=True)


def test_a_journal_that_cannot_be_begun_is_not_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        Journal(path, HEADER)
    assert names(path.parent) == []


@pytest.fixture
def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)


@pytest.mark.usefixtures("without_flock")
def test_without_locks_the_owner_is_known_by_its_process(path: Path) -> None:
    mine = Journal(path, HEADER)
    write(mine, Opened(start=start("c1")))
    assert own_dead(path) is None, "it lives"
    mine.rewrite([HEADER, Opened(start=start("c2"))])
    assert own_dead(path) is None
    assert names(path.parent) == [path.name, f"{path.name}.owner"]
    os.close(mine._fd)  # as if it were killed
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    owner = path.with_name(f"{path.name}.owner")
    dead = msgspec.structs.replace(lock_file.ourselves(), pid=gone.pid)
    owner.write_bytes(msgspec.json.encode(dead))
    fd = own_dead(path)
    assert fd is not None
    assert own_dead(path) is None, "one alone settles it"
    path.unlink()
    disown(fd, path)
    assert names(path.parent) == []


UP_S = 3600.0
BEFORE_OUR_START, LATELY, LONG_AGO = UP_S + 10, 60.0, lock_file.FOREIGN_GONE_S + 60


@pytest.mark.usefixtures("without_flock")
@pytest.mark.parametrize(
    ("owner", "wrote", "dead"),
    [
        ({"boot": "another"}, BEFORE_OUR_START, True),
        ({"boot": "another"}, LATELY, False),
        ({"boot": "another", "host": "another"}, BEFORE_OUR_START, False),
        ({"space": "another"}, BEFORE_OUR_START, False),
        ({"space": "another"}, LATELY, False),
        ({"space": "another"}, LONG_AGO, True),
        ({"boot": "another", "host": "another"}, LONG_AGO, True),
    ],
)
def test_without_locks_of_an_owner_that_cannot_be_seen_what_it_writes_tells(
    path: Path,
    owner: dict[str, str],
    wrote: float,
    dead: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two containers may have one host's name, and number their processes alike."""
    monkeypatch.setattr(lock_file, "_up_s", lambda: UP_S)
    journal = Journal(path, HEADER)
    os.close(journal._fd)
    other = msgspec.structs.replace(lock_file.ourselves(), **owner)
    path.with_name(f"{path.name}.owner").write_bytes(msgspec.json.encode(other))
    os.utime(path, (time.time() - wrote,) * 2)
    fd = own_dead(path)
    assert (fd is not None) is dead
    if fd is not None:
        disown(fd, path)


@pytest.mark.usefixtures("without_flock")
def test_without_locks_an_owner_that_has_nothing_to_write_shows_that_it_lives(path: Path) -> None:
    journal = Journal(path, HEADER)
    os.utime(path, (1, 1))
    assert journal.beat() == journal_module.BEAT_S
    assert time.time() - path.stat().st_mtime < journal_module.BEAT_S
    assert journal_module.BEAT_S * 2 < lock_file.FOREIGN_GONE_S
    journal.rewrite([HEADER])
    os.utime(path, (1, 1))
    assert journal.beat() == journal_module.BEAT_S
    assert path.stat().st_mtime > 1
    journal.close(settled=True)
    assert journal.beat() is None


def test_with_locks_it_has_nothing_to_show(path: Path) -> None:
    journal = Journal(path, HEADER)
    assert journal.beat() is None
    journal.close(settled=True)


@pytest.mark.usefixtures("without_flock")
def test_without_locks_a_journal_that_was_settled_meanwhile_is_left(path: Path) -> None:
    journal = Journal(path, HEADER)
    journal.close(settled=False)
    fd = os.open(path, os.O_RDONLY)
    path.unlink()
    assert not journal_module._own(fd, path)
    os.close(fd)
    assert names(path.parent) == []


@pytest.mark.usefixtures("without_flock")
def test_without_locks_an_owner_that_says_nothing_is_dead_in_time(path: Path) -> None:
    Journal(path, HEADER).close(settled=False)
    owner = path.with_name(f"{path.name}.owner")
    owner.touch()
    assert own_dead(path) is None
    os.utime(owner, (1, 1))
    fd = own_dead(path)
    assert fd is not None
    disown(fd, path)
