from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import failed, legacy, row, write


def test_schema_is_the_one_that_is_published(cli: Cli) -> None:
    published = Path(__file__).parents[2] / "docs" / "ledger.schema.json"
    ended = cli("ledger", "schema")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == published.read_text()


def test_a_sound_ledger(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), legacy()])
    ended = cli("ledger", "verify", "--ledger", str(ledger))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"{ledger}: 2 rows, sound",
        "  1 of an older tool, 0 of these not strict JSON",
    ]


def test_what_is_not_sound_is_told_line_by_line(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), b"broken\n", row("a"), row("b", latency_ms="long"), b"{"])
    ended = cli("ledger", "verify", "--ledger", str(ledger))
    assert ended.status == 1
    assert "NOT SOUND" in ended.out
    assert "line 2: " in ended.out
    assert "line 4: " in ended.out
    assert "call a is there more than once" in ended.out
    assert "the last line has no newline" in ended.out
    found = json.loads(cli("ledger", "verify", "--json", "--ledger", str(ledger)).out)
    assert (found["sound"], found["rows"], found["duplicates"]) == (False, 3, ["a"])


def test_an_object_that_is_no_row_is_none_for_the_report_either(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), b'{"a": 1}\n', b'{"a": "cut\n'])
    checked = cli("ledger", "verify", "--ledger", str(ledger))
    assert (checked.status, checked.out.splitlines()) == (
        1,
        [
            f"{ledger}: 1 row, NOT SOUND",
            "  line 2: not a row: it has none of a row's keys",
            "  line 3: cut short",
        ],
    )
    assert "skipped: 2, 3" in cli("ledger", "export", "--ledger", str(ledger)).err


def test_before_the_first_run_there_is_nothing_to_verify(cli: Cli) -> None:
    ended = cli("ledger", "verify")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == cli("ledger", "export").err
    assert "no calls recorded yet" in ended.err
    assert json.loads(cli("ledger", "verify", "--json").out)["rows"] == 0


def test_nothing_to_recover(cli: Cli) -> None:
    assert cli("ledger", "recover") == (0, "nothing to recover\n", "")
    found = json.loads(cli("ledger", "recover", "--json").out)
    assert found == {"journals": 0, "rows": [], "problems": []}


def test_export_in_the_ancestors_layout(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), failed("b", timestamp="2026-11-22T00:54:57.000Z")])
    lines = cli("ledger", "export", "--ledger", str(ledger)).out.splitlines()
    assert lines[0] == json.dumps(legacy())
    assert len(lines) == 2
    (line,) = cli("ledger", "export", "--per-iteration", "--ledger", str(ledger)).out.splitlines()
    assert json.loads(line)["success"] is False


def test_export_as_json_and_csv(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), b"broken\n"])
    ended = cli("ledger", "export", "--json", "--ledger", str(ledger))
    assert json.loads(ended.out) == [legacy()]
    assert "line 2" in ended.err
    (only,) = csv.DictReader(
        io.StringIO(cli("ledger", "export", "--csv", "--ledger", str(ledger)).out)
    )
    assert (only["success"], only["cost_usd"], only["error"]) == ("true", "0.0145", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing command"),
        (["repair"], "repair"),
        (["verify", "--ledger", "/no/such/file"], "There is no ledger at /no/such/file"),
        (["export", "--ledger", "/no/such/file"], "There is no ledger at /no/such/file"),
        (["export", "--json", "--csv"], "exclude each other"),
        (["schema", "--json"], "--json"),
    ],
)
def test_bad_input_is_a_sentence(cli: Cli, words: list[str], said: str) -> None:
    ended = cli("ledger", *words)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_state_directory_that_cannot_be_made(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENPROXY_STATE_DIR", "/dev/null/nowhere")
    ended = cli("ledger", "recover")
    assert ended.status == 2
    assert "no directory for state: Not a directory (/dev/null)" in ended.err
    assert "or the ledger with --ledger" in cli("show").err
