from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.run_dir import RunDir, check_ledger


def test_it_is_the_users_alone(tmp_path: Path) -> None:
    made = RunDir(tmp_path, "id")
    assert made.path == tmp_path / "runs" / "id"
    assert made.path.stat().st_mode & 0o777 == 0o700
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    made.close(keep_log=False)


@pytest.mark.parametrize(
    ("keep_log", "others", "left"),
    [
        (False, [], None),
        (True, [], ["proxy.log"]),
        (False, ["journal-0.jsonl"], ["journal-0.jsonl"]),
    ],
)
def test_what_has_served_goes(
    tmp_path: Path, keep_log: bool, others: list[str], left: list[str] | None
) -> None:
    made = RunDir(tmp_path, "id")
    for name in ("proxy.log", "bundle.pem", *others):
        (made.path / name).touch()
    made.close(keep_log=keep_log)
    found = sorted(path.name for path in made.path.iterdir()) if made.path.exists() else None
    assert found == left


def test_journals_of_other_runs_are_seen(tmp_path: Path) -> None:
    made, other = RunDir(tmp_path, "id"), RunDir(tmp_path, "other")
    (made.path / "journal-0.jsonl").touch()
    assert not made.others_have_journals()
    (other.path / "journal-3.jsonl").touch()
    assert made.others_have_journals()
    for each in (made, other):
        each.close(keep_log=False)


def test_a_ledger_needs_no_file_yet(tmp_path: Path) -> None:
    check_ledger(tmp_path / "a" / "b" / "ledger.jsonl")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_ledger_is_not_touched(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("{}\n")
    check_ledger(ledger)
    assert ledger.read_text() == "{}\n"
    assert list(tmp_path.iterdir()) == [ledger]


@pytest.mark.parametrize("where", ["/proc/x/ledger", "{}/file/ledger", "{}"])
def test_a_ledger_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write the ledger .*; name another place"):
        check_ledger(Path(where.format(tmp_path)))


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.open

    def refusing(path: object, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT or flags & unnamed == unnamed:
            raise OSError(number, os.strerror(number))
        return real(str(path), flags, *rest)

    unnamed = os.O_TMPFILE
    monkeypatch.setattr(os, "open", refusing)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_now_is_no_reason_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number)
    check_ledger(tmp_path / "ledger.jsonl")


def test_a_read_only_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EROFS)
    with pytest.raises(UsageError, match="Read-only file system"):
        check_ledger(tmp_path / "ledger.jsonl")


def test_where_no_file_is_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = os.open, []

    def named_only(path: object, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        made.append(path)
        return real(str(path), flags, *rest)

    monkeypatch.setattr(os, "open", named_only)
    check_ledger(tmp_path / "ledger.jsonl")
    assert len(made) == 1
    assert list(tmp_path.iterdir()) == []
