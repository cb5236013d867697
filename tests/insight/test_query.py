from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.insight.rows import legacy, row, write
from tokenproxy.insight.query import Ledger, LedgerError, Skipped, open_ledger
from tokenproxy.insight.raw_lines import mend_line


def ask(ledger: Ledger, query: str) -> list[tuple[Any, ...]]:
    return ledger.connection.execute(query).fetchall()


def test_a_row_is_read_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row(labels={"team": "a"})])
    with open_ledger([path]) as ledger:
        assert ledger.rows == 1
        assert ledger.skipped == ()
        (found,) = ask(
            ledger, "SELECT id, input_tokens, cost_usd, success, labels['team'] FROM calls"
        )
    assert found == ("c1", 17_060, 0.0145, True, "a")


def test_keys_that_are_missing_or_of_another_type_are_unknown(tmp_path: Path) -> None:
    odd = row() | {"iteration": "third", "labels": ["x"], "parts": "none", "input_tokens": 10**30}
    del odd["cost_usd"]
    with open_ledger([write(tmp_path / "l.jsonl", [odd])]) as ledger:
        query = "SELECT cost_usd, iteration, labels, parts, input_tokens, model FROM calls"
        assert ask(ledger, query) == [(None, None, None, None, None, "claude-opus-5-5")]


def test_the_ancestors_bare_fractions_are_read(tmp_path: Path) -> None:
    line = b'{"timestamp": "2026-01-20T10:00:00Z", "story_id": "v.5", "cost_usd": .060000}\n'
    with open_ledger([write(tmp_path / "l.jsonl", [line, legacy()])]) as ledger:
        assert ledger.skipped == ()
        found = ask(ledger, "SELECT story_id, cost_usd FROM calls ORDER BY story_id")
    assert found == [("US-7", 0.0145), ("v.5", 0.06)]


def test_lines_that_are_no_rows_are_told_by_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.jsonl",
        [row("a"), b"\n", b"  \r\n", b"{torn\n", row("b"), b"[1]\n", b"{}\n", b"\0\0\n", row("c")],
    )
    with open_ledger([path]) as ledger:
        assert ledger.skipped == (Skipped(str(path), (4, 6, 7, 8)),)
        assert ask(ledger, "SELECT id FROM calls ORDER BY id") == [("a",), ("b",), ("c",)]


def test_a_line_still_being_written_is_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a"), json.dumps(row("b")).encode()[:90]])
    with open_ledger([path]) as ledger:
        assert (ledger.rows, ledger.skipped) == (1, ())


def test_a_whole_last_line_needs_no_newline(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a"), json.dumps(row("b")).encode()])
    with open_ledger([path]) as ledger:
        assert (ledger.rows, ledger.skipped) == (2, ())


def test_broken_utf8_costs_the_letter_not_the_row(tmp_path: Path) -> None:
    line = json.dumps(row(story_id="caf@")).encode().replace(b"@", b"\xe9") + b"\n"
    with open_ledger([write(tmp_path / "l.jsonl", [line])]) as ledger:
        assert ask(ledger, "SELECT story_id, cost_usd FROM calls") == [("caf\ufffd", 0.0145)]


def test_a_call_that_stands_twice_counts_once_in_its_fullest_form(tmp_path: Path) -> None:
    replayed = row("a", outcome="lost", completeness="partial", output_tokens=3)
    rows = [replayed, row("a"), row("a", completeness="none"), legacy(), legacy()]
    with open_ledger([write(tmp_path / "l.jsonl", rows)]) as ledger:
        found = ask(ledger, "SELECT output_tokens FROM calls WHERE call_id = 'a'")
        assert found == [(55,)]
        assert ledger.rows == 3  # rows of the ancestor have no id: each is a row


def test_several_files_are_one_ledger(tmp_path: Path) -> None:
    old = tmp_path / "l.jsonl.1.gz"
    old.write_bytes(gzip.compress(json.dumps(row("a")).encode() + b"\nbroken\n"))
    new = write(tmp_path / "l.jsonl", [row("a"), row("b"), b"broken\n"])
    with open_ledger([old, new]) as ledger:
        assert ledger.rows == 2
        assert ledger.skipped == (Skipped(str(old), (2,)), Skipped(str(new), (3,)))


@pytest.mark.parametrize("name", ["a b'c.jsonl", "*.jsonl", "[a]?.jsonl", "https:x.jsonl"])
def test_a_path_is_only_ever_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.jsonl", [row("other")])
    write(tmp_path / name, [row("mine")])
    with open_ledger([Path(name)]) as ledger:
        assert ask(ledger, "SELECT id FROM calls") == [("mine",)]


def test_no_extension_is_ever_fetched(tmp_path: Path) -> None:
    with open_ledger([write(tmp_path / "l.jsonl", [row()])]) as ledger:
        settings = ask(
            ledger,
            "SELECT name, value FROM duckdb_settings() WHERE name IN"
            " ('autoinstall_known_extensions', 'autoload_known_extensions')",
        )
    assert dict(settings) == {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def test_an_empty_ledger_and_none_at_all(tmp_path: Path) -> None:
    with open_ledger([write(tmp_path / "l.jsonl", [])]) as ledger:
        assert ledger.rows == 0
    with open_ledger([]) as ledger:
        assert ledger.rows == 0


@pytest.mark.parametrize("what", ["missing", "directory", "loop"])
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "directory":
        path.mkdir()
    if what == "loop":
        path.symlink_to(path)
    with pytest.raises(LedgerError, match=str(path)) as caught, open_ledger([path]):
        pass
    assert "\n" not in str(caught.value)


def test_skipped_lines_in_words() -> None:
    assert str(Skipped("f", (3,))) == "f: line 3 is not a ledger row and was skipped"
    assert str(Skipped("f", (3, 17))) == "f: 2 lines are not ledger rows and were skipped: 3, 17"
    assert str(Skipped("f", tuple(range(1, 40)))).endswith("9, 10, ...")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"cost_usd": .5}', {"cost_usd": 0.5}),
        (b'{"cost_usd":-.5,"latency_ms": [.1, .2]}', {"cost_usd": -0.5, "latency_ms": [0.1, 0.2]}),
        (b'{"model": "a\tb"}', {"model": "a\tb"}),
        (b'{"model": "m", "cost_usd": NaN}', {"model": "m", "cost_usd": None}),
        (b'{"story_id": "say "hi"", "iteration": 1}', None),
        (b'{"model": null}', None),
        (b'{"else": 1}', None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_mending(line: bytes, found: dict[str, Any] | None) -> None:
    assert mend_line(line) == found


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_content_raises_and_whole_rows_are_never_lost(
    tmp_path: Path, garbage: list[bytes]
) -> None:
    lines: list[Any] = []
    for number, junk in enumerate(garbage):
        lines += [junk.replace(b"\n", b"") + b"\n", row(f"call {number}")]
    with open_ledger([write(tmp_path / "l.jsonl", lines)]) as ledger:
        count = "SELECT count(*) FROM calls WHERE call_id LIKE 'call %'"
        assert ask(ledger, count) == [(len(garbage),)]
