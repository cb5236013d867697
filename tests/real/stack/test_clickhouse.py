"""The tables that we ship, on a real ClickHouse: what is delivered twice is counted once."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.stack import exported
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.kinds import Kinds, Told
from tokenproxy.cli.main import main
from tokenproxy.insight.question import DIMENSIONS
from tokenproxy.record.row import encode

CALLS = 500
PLAIN = [name for name in DIMENSIONS if name != "label:KEY"]
CHOICES: tuple[list[str], ...] = (
    [],
    ["--since", "2026-11-01", "--until", "2026-11-20T12:00:00.123Z"],
    ["--model", "claude-haiku-4-5"],
    ["--story", "ß 🦊"],
    ["--story", ""],
    ["--project", "shop", "--where", "outcome=complete"],
    ["--where", 'label:cost centre=a,"b'],
    ["--where", "label:team="],
    ["--where", "iteration=0"],
    ["--where", "day=2026-11-07"],
    ["--where", "agent=main", "--where", "provider=google"],
    ["--where", "story=' OR true --"],
)
BY = (
    *PLAIN,
    "label:team",
    "label:cost centre",
    "day,model",
    "model,story,iteration",
    "provider,outcome,week",
)


@pytest.fixture(scope="module")
def told() -> list[tuple[Told, Told]]:
    """Calls, each as it ended and as it was told before."""
    return list(Kinds().calls(CALLS))


@pytest.fixture(scope="module")
def ledger(told: list[tuple[Told, Told]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their ledger."""
    path = tmp_path_factory.mktemp("ledger") / "provider_usage.jsonl"
    path.write_bytes(b"".join(encode(whole.row) for whole, _ in told if whole.row is not None))
    return path


@pytest.fixture(scope="module")
def clickhouse(
    told: list[tuple[Told, Told]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClickHouse]:
    """A ClickHouse to which every call was told, many more than once."""
    with ClickHouse(tmp_path_factory.mktemp("clickhouse"), password="p:@/?&é") as made:
        made.create_tables()
        inserts = {
            # Less was known at first, of some; of others it comes late.
            "early": [less.spans for _, less in told[::3]],
            "all": [whole.spans for whole, _ in told],
            "a batch that was sent again": [whole.spans for whole, _ in told[100:300]],
            "one call twice in a batch": [whole.spans * 2 for whole, _ in told[::7]],
            "late": [less.spans for _, less in told[1::3]],
        }
        for batch in inserts.values():
            exported.insert(made, itertools.chain.from_iterable(batch))
        yield made


def said(*words: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as ended:
        main(["report", *words])
    assert not ended.value.code
    return out.getvalue()


@pytest.fixture
def both(
    clickhouse: ClickHouse, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, str]]:
    """A report over the ledger and the same over ClickHouse."""
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("TOKENPROXY_CLICKHOUSE_PASSWORD", clickhouse.password)
    source = f"clickhouse://127.0.0.1:{clickhouse.port}/tokenproxy"

    def ask(*words: str) -> tuple[str, str]:
        return said("--ledger", str(ledger), *words), said("--source", source, *words)

    return ask


def test_copies_are_in_the_table_and_no_merge_has_taken_them_out(clickhouse: ClickHouse) -> None:
    stored = int(clickhouse.value("SELECT count() AS n FROM calls"))
    once = int(clickhouse.value("SELECT count() AS n FROM calls FINAL"))
    assert stored > once > 0.9 * CALLS


@pytest.mark.parametrize("by", BY)
def test_a_report_is_the_ledgers_by_every_dimension(
    by: str, both: Callable[..., tuple[str, str]]
) -> None:
    ledger, clickhouse = both("--by", by, "--json")
    assert clickhouse == ledger
    assert ledger.count("\n") > 40


@pytest.mark.parametrize("choice", CHOICES, ids=" ".join)
@pytest.mark.parametrize("by", ["day", "model"])
def test_a_report_is_the_ledgers_whatever_is_chosen(
    choice: list[str], by: str, both: Callable[..., tuple[str, str]]
) -> None:
    ledger, clickhouse = both("--by", by, "--json", *choice)
    assert clickhouse == ledger


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=["table", "csv", "json"])
@pytest.mark.parametrize("zone", [[], ["--utc"]], ids=["local", "utc"])
def test_a_report_is_the_ledgers_in_every_form(
    form: list[str], zone: list[str], both: Callable[..., tuple[str, str]]
) -> None:
    ledger, clickhouse = both("--by", "week,model", *form, *zone)
    assert clickhouse == ledger
    assert len(ledger.splitlines()) > 10
