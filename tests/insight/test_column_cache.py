"""A report answers from its cache as it would from the ledger, whatever became of either."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.insight.rows import failed, legacy, row, write
from tokenproxy.insight import cached_lines, column_cache, query
from tokenproxy.insight.column_cache import KEPT, clear, open_cache
from tokenproxy.insight.columns import COLUMNS
from tokenproxy.insight.ledger_engine import needed
from tokenproxy.insight.query import open_ledger
from tokenproxy.insight.question import DIMENSIONS, Choice, dimension
from tokenproxy.insight.report import make_report

BY = [dimension("day"), dimension("model"), dimension("label:team")]
PARTS = [
    {"model": "claude-haiku-4-5", "input_tokens": 5, "output_tokens": 2, "cost_usd": 0.25},
    {"model": "claude-opus-5-5", "input_tokens": 7, "output_tokens": 3},
]
LONG_AGO = 1_700_000_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep ledgers of a few lines, some lines in a file."""
    monkeypatch.setattr(column_cache, "SMALL", 600)
    monkeypatch.setattr(column_cache, "PIECE", 2500)
    monkeypatch.setattr(cached_lines, "_sync", lambda _: None)  # no machine fails here


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each ledger was read from its cache."""
    found: list[bool] = []

    def spy(*words: Any) -> bool:
        found.append(cached_lines.append_cached(*words))
        return found[-1]

    monkeypatch.setattr(query, "append_cached", spy)
    return found


def ask(files: list[Path], own: Path | None) -> Any:
    with open_ledger(files, needed(BY, Choice()), own) as ledger:
        return ledger.rows, ledger.skipped, make_report(ledger, BY)


def settle(path: Path) -> None:
    """Nobody has touched it for long."""
    os.utime(path, (LONG_AGO, LONG_AGO))


def kept(path: Path, own: Path, rows: int = 8) -> Path:
    """A ledger of which all is kept."""
    write(path, [row(f"c{number}") for number in range(rows)])
    settle(path)
    for _ in range(2):
        ask([path], own)
    return path


def append(path: Path, *lines: Any) -> None:
    with path.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def test_what_is_kept_is_what_questions_need() -> None:
    needs = set()
    for name in [*DIMENSIONS[:-1], "label:x"]:
        keep = needed([dimension(name)], Choice(since=datetime(2026, 1, 1, tzinfo=UTC)))
        needs |= set(re.findall(r"\w+", " ".join(keep.values()))) & COLUMNS.keys()
    assert needs == KEPT.keys()


def test_the_second_report_keeps_and_the_third_uses_it(
    tmp_path: Path, own: Path, used: list[bool]
) -> None:
    path = write(tmp_path / "l.jsonl", [row(f"c{number}") for number in range(8)])
    settle(path)
    plain = ask([path], None)
    assert ask([path], own) == plain
    assert (used, list(own.rglob("*.parquet"))) == ([], [])
    assert ask([path], own) == plain
    made = sorted(own.rglob("*.parquet"))
    assert (used, len(made) > 1) == ([True], True)
    assert ask([path], own) == plain
    assert (used, sorted(own.rglob("*.parquet"))) == ([True, True], made)


def test_it_grows_by_what_is_appended(tmp_path: Path, own: Path, used: list[bool]) -> None:
    path = kept(tmp_path / "l.jsonl", own)
    made = set(own.rglob("*.parquet"))
    append(path, row("c1", cost_usd=5.0), row("new", completeness="partial"))
    assert ask([path], own) == ask([path], None)
    append(path, *(row(f"more{number}") for number in range(5)), b'{"timestamp": "2026-')
    assert ask([path], own) == ask([path], None)
    assert made < set(own.rglob("*.parquet"))
    assert all(used)


def test_it_is_for_its_user_alone(tmp_path: Path, own: Path) -> None:
    kept(tmp_path / "l.jsonl", own)
    (directory,) = (own / "ledgers").iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in directory.iterdir()} == {0o600}
    assert all(name not in one.read_bytes() for one in directory.iterdir() for name in (b"usage",))


@pytest.mark.parametrize("change", ["edit", "swap", "shorter", "another", "insert"])
def test_a_ledger_that_was_changed_is_read_anew(tmp_path: Path, own: Path, change: str) -> None:
    path = kept(tmp_path / "l.jsonl", own)
    content = path.read_bytes()
    if change == "edit":  # same length, same file, nothing appended
        with path.open("r+b") as file:
            file.write(content.replace(b"0.0145", b"9.0145"))
    if change == "swap":  # and made to look as old as before
        with path.open("r+b") as file:
            file.write(content.replace(b'"US-7"', b'"US-8"'))
        settle(path)
    if change == "shorter":
        os.truncate(path, len(content) // 2)
    if change == "another":
        write(path.with_name("new"), [row(f"n{number}") for number in range(9)]).replace(path)
    if change == "insert":
        with path.open("r+b") as file:
            file.write(b'{"cost_usd": 1}\n' + content)
    assert ask([path], own) == ask([path], None)


@pytest.mark.parametrize("harm", ["cut", "gone", "garbage", "look", "schema"])
def test_a_cache_that_is_broken_is_not_believed(tmp_path: Path, own: Path, harm: str) -> None:
    path = kept(tmp_path / "l.jsonl", own)
    (look,) = own.rglob("look.json")
    first = next(own.rglob("*.parquet"))
    match harm:
        case "cut":
            os.truncate(first, first.stat().st_size // 2)
        case "gone":
            first.unlink()
        case "garbage":
            first.write_bytes(b"PAR1 no more")
        case "look":
            look.write_bytes(b"{")
        case _:
            look.write_bytes(re.sub(rb'"schema":"\w+"', b'"schema":"old"', look.read_bytes()))
    plain = ask([path], None)
    for _ in range(3):
        assert ask([path], own) == plain
    assert len(list(own.rglob("*.parquet"))) > 1


def test_where_nothing_can_be_kept_the_ledger_is_read(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch, used: list[bool]
) -> None:
    path = write(tmp_path / "l.jsonl", [row(f"c{number}") for number in range(8)])
    plain = ask([path], None)
    own.write_text("no directory")
    assert ask([path], own) == plain
    own.unlink()
    ask([path], own)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cached_lines, "_sync", full)
        assert ask([path], own) == plain
    assert list(own.rglob("*.parquet")) == []
    with monkeypatch.context() as patch:
        patch.setattr(cached_lines, "_copy", full)
        assert ask([path], own) == plain
    assert used == [False, False]


def test_two_reports_at_once_do_not_both_add(tmp_path: Path, own: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row(f"c{number}") for number in range(8)])
    settle(path)
    ask([path], own)
    with open_cache(own, path) as one:
        assert one is not None
        assert one.writable
        assert ask([path], own) == ask([path], None)
        assert list(own.rglob("*.parquet")) == []
    ask([path], own)
    assert list(own.rglob("*.parquet")) != []


def test_much_that_another_report_is_adding_is_not_copied(
    tmp_path: Path, own: Path, used: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path / "l.jsonl", own)
    append(path, *(row(f"more{number}") for number in range(3)))
    settle(path)
    with open_cache(own, path) as one:
        assert one is not None
        assert one.writable
        assert ask([path], own) == ask([path], None)
        monkeypatch.setattr(column_cache, "PIECE", 600)
        look = (one.directory / "look.json").read_bytes()
        monkeypatch.setattr(cached_lines, "_copy", None)
        assert ask([path], own) == ask([path], None)
        assert (one.directory / "look.json").read_bytes() == look
    assert used[-2:] == [True, False]


def test_what_a_killed_report_left_is_removed(tmp_path: Path, own: Path) -> None:
    path = kept(tmp_path / "l.jsonl", own)
    left = next(own.rglob("*.parquet")).with_name("left.parquet")
    left.write_bytes(b"half")
    append(path, *(row(f"more{number}") for number in range(5)))
    assert ask([path], own) == ask([path], None)
    assert not left.exists()


def test_of_ledgers_that_are_gone_nothing_is_kept(tmp_path: Path, own: Path) -> None:
    kept(tmp_path / "gone.jsonl", own).unlink()
    kept(tmp_path / "l.jsonl", own)
    assert len(list((own / "ledgers").iterdir())) == 1
    clear(own)
    clear(own)
    assert list(own.iterdir()) == []


numbers = st.integers(0, 30)
line = st.one_of(
    numbers.map(lambda n: row(f"c{n % 7}", cost_usd=n / 8)),
    numbers.map(lambda n: row(f"c{n % 5}", cost_usd=n / 8, completeness="partial")),
    numbers.map(lambda n: row(f"c{n}", parts=PARTS, labels={"team": f"t{n % 3}"})),
    numbers.map(lambda n: failed(f"c{n}", iteration="x" if n % 2 else 10**30)),
    numbers.map(lambda n: legacy(timestamp=f"2026-11-{n + 1:02}T10:00:00")),
    st.sampled_from(
        [b"\n", b"{torn\n", b'{"cost_usd": .5}\n', b"[1]\n", b'{"labels": {"team": "z"}}\n',
         b'{"timestamp": "2026-11-', b"\xef\xbb\xbf{}\n", b'{"story_id": "caf\xe9"}\n', b"\r\n"]
    ),
)  # fmt: skip
step = st.one_of(
    st.tuples(st.just("append"), st.lists(line, min_size=1, max_size=8)),
    st.tuples(st.sampled_from(["truncate", "edit", "insert"]), st.floats(0, 1)),
    st.tuples(st.sampled_from(["rotate", "copy", "forget", "wait", "both"]), st.none()),
)


def change(directory: Path, what: str, value: Any) -> None:
    """Something that becomes of a ledger, or of the time."""
    path = directory / "l.jsonl"
    content = path.read_bytes()
    at = int((value if isinstance(value, float) else 0.5) * len(content))
    match what:
        case "append":
            append(path, *value)
        case "truncate":
            os.truncate(path, at)
        case "edit" | "both":
            with path.open("r+b") as file:
                file.seek(at)
                file.write(content[at : at + 40].translate(bytes.maketrans(b"0123", b"3210")))
            if what == "both":
                append(path, row("both"))
        case "insert":
            path.write_bytes(content[:at] + b'\n{"cost_usd": 3}\n' + content[at:])
        case "rotate":
            path.rename(directory / "l.jsonl.1")
            path.touch()
        case "copy":
            shutil.copy(path, directory / "new")
            (directory / "new").replace(path)
        case "forget":
            clear(directory / "cache")
        case _:
            settle(path)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(line, max_size=12), st.lists(step, max_size=8))
def test_cached_is_plain(tmp_path: Path, lines: list[Any], steps: list[tuple[str, Any]]) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    path = write(tmp_path / "l.jsonl", lines)
    for what, value in [("wait", None), ("wait", None), *steps]:
        change(tmp_path, what, value)
        files = [one for one in (tmp_path / "l.jsonl.1", path) if one.exists()]
        assert ask(files, tmp_path / "cache") == ask(files, None)


def test_a_ledger_is_copied_where_the_kernel_does_not(
    tmp_path: Path, own: Path, used: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", refuse)
    path = kept(tmp_path / "l.jsonl", own)
    assert list(own.rglob("*.parquet"))
    assert ask([path], own) == ask([path], None)
    assert all(used)


def test_one_piece_that_fails_costs_only_what_is_behind_it(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "l.jsonl", [row(f"c{number}") for number in range(30)])
    settle(path)
    plain = ask([path], None)
    ask([path], own)
    copied = []

    def once(fd: int, start: int, end: int, copy: Path) -> None:
        copied.append(start)
        if len(copied) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        _copy(fd, start, end, copy)

    _copy = cached_lines._copy
    with monkeypatch.context() as patch:
        patch.setattr(cached_lines, "_copy", once)
        assert ask([path], own) == plain
    (look,) = own.rglob("look.json")
    names = json.loads(look.read_bytes())["files"]
    assert sorted(names) == sorted(made.name for made in own.rglob("*.parquet"))
    assert len(names) <= 2
    assert ask([path], own) == plain
    assert len(list(own.rglob("*.parquet"))) > 2


@pytest.mark.skipif(sys.platform != "linux", reason="no other finds a file without its name")
def test_whoever_kills_a_report_leaves_no_copy_of_lines(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "l.jsonl", [row(f"c{number}") for number in range(30)])
    settle(path)
    ask([path], own)
    names: list[int] = []

    def looked_at(fd: int, start: int, end: int, copy: Path) -> None:
        _copy(fd, start, end, copy)
        assert copy.stat().st_size == end - start
        names.append(copy.stat().st_nlink)

    _copy = cached_lines._copy
    monkeypatch.setattr(cached_lines, "_copy", looked_at)
    ask([path], own)
    assert len(names) > 2, "pieces, and what is behind the last"
    assert set(names) == {0}
