from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import RUN, row, write

LATER = "019ab9f1-0000-7000-8000-000000000001"


def test_the_last_run_unless_one_is_named(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a"), row("b", run_id=LATER)])
    for words in ([], ["--last"], [LATER], [LATER[:-2]]):
        ended = cli("show", "--ledger", str(ledger), *words)
        assert (ended.status, ended.err) == (0, "")
        assert ended.out.splitlines()[0] == f"run {LATER}"
        assert ended.out.splitlines()[-1].startswith("1  claude-opus-5-5")
    assert cli("show", RUN, "--ledger", str(ledger)).out.startswith(f"run {RUN}")


def test_json(cli: Cli, ledger: Path) -> None:
    write(ledger, [row("a", turn_id="t")])
    made = json.loads(cli("show", "--json", "--ledger", str(ledger)).out)
    assert (made["run_id"], made["totals"]["calls"]) == (RUN, 1)
    assert made["children"][0]["children"][0]["call_id"] == "a"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-run"], "No run 'no-such-run'"),
        (["019ab9f"], "begins 2 runs"),
        (["", "--json"], "the run's id is empty"),
        ([RUN, "--last"], "not both"),
        ([RUN, "too-many"], "too-many"),
    ],
)
def test_bad_input_is_a_sentence(cli: Cli, ledger: Path, words: list[str], said: str) -> None:
    write(ledger, [row("a"), row("b", run_id=LATER)])
    ended = cli("show", "--ledger", str(ledger), *words)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_before_the_first_run(cli: Cli) -> None:
    ended = cli("show")
    assert (ended.status, ended.out) == (2, "")
    assert "tokenproxy run -- COMMAND" in ended.err


@pytest.mark.parametrize(
    "words", [["show"], ["top", "--once"], ["statusline"], ["ledger", "verify"]]
)
def test_a_packed_ledger_is_told(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    packed = tmp_path / "l.jsonl.1.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "l.jsonl", [row("a")]).read_bytes()))
    ended = cli(*words, "--ledger", str(packed))
    assert (ended.status, ended.out) == (2, "")
    assert "is compressed: unpack it, or use `tokenproxy report`" in ended.err
    assert ended.err.count("\n") == 1


def test_a_zone_that_is_not_known_is_told(
    cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Mars/Base")
    write(ledger, [row("a")])
    for words in (["show"], ["report"], ["top", "--once"]):
        ended = cli(*words, "--ledger", str(ledger))
        assert (ended.status, ended.err) == (
            0,
            "tokenproxy: no time zone 'Mars/Base' (TZ) is known here: days and times are of UTC\n",
        )
        assert cli(*words, "--utc", "--ledger", str(ledger)).err == ""
