from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import failed, row, write


def test_the_ledger_by_day(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), row("b", timestamp="2026-11-23T00:00:00.000Z")])
    ended = cli("report", "--ledger", str(ledger))
    assert (ended.status, ended.err) == (0, "")
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["Day", "Calls"],
        ["2026-11-22", "1"],
        ["2026-11-23", "1"],
        ["Total", "2"],
    ]


def test_json(cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENPROXY_LEDGER", str(write(ledger, [row("a"), failed("b")])))
    ended = cli("report", "--by", "story,model", "--by", "iteration", "--json")
    made = json.loads(ended.out)
    assert made["by"] == ["story", "model", "iteration"]
    (only,) = made["rows"]
    assert (only["story"], only["model"], only["iteration"]) == ("US-7", "claude-opus-5-5", 3)
    assert (made["total"]["calls"], made["total"]["failed"]) == (2, 1)


def test_csv(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a", labels={"team, x": "gr,een"})])
    ended = cli("report", "--by", "label:team, x", "--csv", "--ledger", str(ledger))
    (only,) = csv.DictReader(io.StringIO(ended.out))
    assert only["label:team, x"] == "gr,een"
    assert only["input_tokens"] == "17060"


def test_dimensions_behind_a_label_are_dimensions(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a", labels={"a,b": "1", "team": "2"})])
    asked = ("report", "--json", "--ledger", str(ledger), "--by", "label:a,b,model,label:team, day")
    (only,) = json.loads(cli(*asked).out)["rows"]
    dimensions = [only[name] for name in ("label:a,b", "model", "label:team", "day")]
    assert dimensions == ["1", "claude-opus-5-5", "2", "2026-11-22"]


def test_several_ledgers_are_added_up(cli: Cli, tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", [row("a"), row("b")])
    second = write(tmp_path / "2.jsonl", [row("b"), row("c")])
    ended = cli("report", "--json", "--ledger", str(first), "--ledger", str(second))
    assert json.loads(ended.out)["total"]["calls"] == 3


def test_choosing(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), row("b", story_id="US-8", project="shop", model="claude-haiku-4-5")])

    def calls(*words: str) -> int:
        ended = cli("report", "--json", "--ledger", str(ledger), *words)
        return int(json.loads(ended.out)["total"]["calls"])

    assert calls("--story", "US-8") == 1
    assert calls("--model", "claude-opus-5-5") == 1
    assert calls("--project", "shop") == 1
    assert calls("--where", "story=US-8", "--where", "model=claude-opus-5-5") == 0
    assert calls("--since", "2026-11-22", "--until", "2026-11-22") == 2
    assert calls("--until", "2026-11-21") == 0
    assert calls("--since", "2026-11-22T00:54:55Z", "--until", "2026-11-22T00:54:56Z") == 2


def test_days_are_the_users_unless_utc_is_asked(
    cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [row("a")])
    monkeypatch.setenv("TZ", "America/New_York")

    def day(*words: str) -> str:
        ended = cli("report", "--json", "--ledger", str(ledger), *words)
        return str(json.loads(ended.out)["rows"][0]["day"])

    assert day() == "2026-11-21"
    assert day("--utc") == "2026-11-22"


def test_what_was_skipped_is_said_on_stderr(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), b"broken\n"])
    ended = cli("report", "--json", "--ledger", str(ledger))
    assert json.loads(ended.out)["total"]["calls"] == 1
    assert ended.err == f"tokenproxy: {ledger}: line 2 is not a ledger row and was skipped\n"


def test_before_the_first_run(cli: Cli) -> None:
    ended = cli("report")
    assert (ended.status, ended.out) == (0, "")
    assert "no calls recorded yet" in ended.err
    assert json.loads(cli("report", "--json").out)["total"]["calls"] == 0


def test_an_empty_ledger_and_no_match(cli: Cli, ledger: Path) -> None:
    ended = cli("report", "--ledger", str(write(ledger, [])))
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == f"tokenproxy: no calls in {ledger} yet\n"
    write(ledger, [row()])
    assert cli("report", "--ledger", str(ledger), "--story", "x").err.endswith("no calls match\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "colour"], "'colour' is no dimension: use one of hour, day"),
        (["--since", "yesterweek"], "'yesterweek' is not a time"),
        (["--since", "today", "--until", "yesterday"], "--until yesterday is not after"),
        (["--where", "story"], "--where takes DIMENSION=VALUE, not 'story'"),
        (["--where", "colour=red"], "'colour' is no dimension"),
        (["--json", "--csv"], "exclude each other"),
        (["--ledger", "/no/such/file"], "There is no ledger at /no/such/file"),
        (["--ledger", "/"], "is not a regular file"),
        (["unexpected"], "unexpected"),
    ],
)
def test_bad_input_is_a_sentence(cli: Cli, words: list[str], said: str) -> None:
    ended = cli("report", *words)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_every_option_has_a_variable(
    cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [row()])
    monkeypatch.setenv("TOKENPROXY_REPORT_BY", "model,story")
    monkeypatch.setenv("TOKENPROXY_REPORT_JSON", "1")
    ended = cli("report", "--ledger", str(ledger))
    assert json.loads(ended.out)["by"] == ["model", "story"]


def test_a_device_is_no_ledger(cli: Cli) -> None:
    ended = cli("report", "--ledger", "/dev/full")
    assert (ended.status, ended.out) == (2, "")
    assert "not a regular file" in ended.err


def test_a_story_of_broken_utf8_is_found_as_it_was_recorded(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a", story_id="a\ufffd"), row("b")])
    ended = cli("report", "--by", "story", "--story", "a\udcff", "--json", "--ledger", str(ledger))
    assert json.loads(ended.out)["total"]["calls"] == 1


def test_the_cache_is_off_or_cleared(
    cli: Cli, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenproxy.insight.column_cache.SMALL", 1)
    write(ledger, [row("a"), row("b")])
    os.utime(ledger, (1_700_000_000, 1_700_000_000))
    kept = tmp_path / "state" / "cache" / "ledgers"
    first = cli("report", "--ledger", str(ledger), "--cache", "off")
    assert not kept.exists()
    assert {cli("report", "--ledger", str(ledger)) for _ in range(3)} == {first}
    assert list(kept.rglob("*.parquet"))
    monkeypatch.setenv("TOKENPROXY_REPORT_CACHE", "clear")
    assert cli("report", "--ledger", str(ledger)) == first
    assert not kept.exists()
