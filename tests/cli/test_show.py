from __future__ import annotations

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
