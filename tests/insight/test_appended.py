from __future__ import annotations

from pathlib import Path

import pytest

from tokenproxy.insight.appended import read_appended

MOST = 1000


def test_only_what_was_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b"one\ntwo\nhal")
    first = read_appended(path, None, MOST)
    assert (first.lines, first.continues, first.skipped) == ([b"one", b"two"], False, 0)
    with path.open("ab") as file:
        file.write(b"f\nthree\n")
    second = read_appended(path, first.place, MOST)
    assert (second.lines, second.continues) == ([b"half", b"three"], True)
    third = read_appended(path, second.place, MOST)
    assert (third.lines, third.continues, third.place) == ([], True, second.place)


@pytest.mark.parametrize("how", ["replaced", "shortened", "overwritten"])
def test_another_ledger_is_looked_at_for_the_first_time(tmp_path: Path, how: str) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b"one\ntwo\n")
    place = read_appended(path, None, MOST).place
    if how == "replaced":
        (tmp_path / "new").write_bytes(b"one\ntwo\nthree\n")
        (tmp_path / "new").replace(path)
    elif how == "shortened":
        path.write_bytes(b"one\n")
    else:
        path.write_bytes(b"one\ntwa\nthree\n")
    found = read_appended(path, place, MOST)
    assert not found.continues
    assert found.lines == path.read_bytes().split(b"\n")[:-1]


def test_of_a_large_ledger_the_end_is_read_from_a_line_on(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b"0123456\n" * 100)
    for most, lines in ((24, 3), (23, 2), (17, 2), (9, 1), (7, 0)):
        found = read_appended(path, None, most)
        assert found.lines == [b"0123456"] * lines
        assert found.skipped == 800 - 8 * lines


def test_too_much_at_once_is_a_first_look(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b"a\n")
    place = read_appended(path, None, 8).place
    with path.open("ab") as file:
        file.write(b"b\n" * 10)
    found = read_appended(path, place, 8)
    assert (found.continues, found.lines, found.skipped) == (False, [b"b"] * 4, 14)
