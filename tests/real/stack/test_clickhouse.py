"""The tables that we ship, on a real ClickHouse: what is delivered twice is counted once."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.stack import exported
from tests.real.stack.clickhouse import ROOT, ClickHouse
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
        made.keep_all()
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


def forget(clickhouse: ClickHouse, which: str, table: str = "calls") -> None:
    """Take rows out again, for the tests that follow."""
    clickhouse.ask(f"ALTER TABLE {table} DELETE WHERE {which} SETTINGS mutations_sync = 1")


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


def test_tables_can_be_made_again(clickhouse: ClickHouse) -> None:
    before = clickhouse.value("SELECT count() AS n FROM calls FINAL")
    clickhouse.create_tables()
    assert clickhouse.value("SELECT count() AS n FROM calls FINAL") == before


def test_sums_made_at_insertion_would_count_a_copy_twice(
    clickhouse: ClickHouse, told: list[tuple[Told, Told]]
) -> None:
    clickhouse.ask(
        "CREATE TABLE summed (k UInt8, calls UInt64) ENGINE = SummingMergeTree ORDER BY k"
    )
    clickhouse.ask(
        "CREATE MATERIALIZED VIEW summing TO summed AS SELECT 1 AS k, 1 AS calls FROM calls"
    )
    once = clickhouse.value("SELECT count() AS n FROM calls FINAL")
    some = [whole for whole, _ in told[:30] if whole.row is not None]
    for _ in range(2):
        exported.insert(clickhouse, itertools.chain.from_iterable(one.spans for one in some))
    clickhouse.ask("DROP VIEW summing")
    assert int(clickhouse.value("SELECT sum(calls) AS n FROM summed FINAL")) == 2 * len(some)
    assert clickhouse.value("SELECT count() AS n FROM calls FINAL") == once


def test_a_days_cost_is_made_anew_as_a_whole(
    clickhouse: ClickHouse, ledger: Path, told: list[tuple[Told, Told]]
) -> None:
    def refresh() -> None:
        clickhouse.ask("SYSTEM REFRESH VIEW cost_days_refresh")
        clickhouse.ask("SYSTEM WAIT VIEW cost_days_refresh")

    def account() -> dict[str, tuple[int, float]]:
        found = clickhouse.ask(
            "SELECT day || '/' || model AS whose, sum(calls) AS n, sum(spent_usd) AS usd"
            " FROM cost_by_day GROUP BY whose"
        )
        return {row["whose"]: (int(row["n"]), round(float(row["usd"]), 9)) for row in found}

    refresh()
    lines = json.loads(said("--ledger", str(ledger), "--utc", "--json", "--by", "day,model"))
    expected = {
        f"{row['day']}/{row['model']}": (row["calls"], round(row["cost_usd"] or 0, 9))
        for row in lines["rows"]
    }
    assert account() == expected
    exported.insert(clickhouse, itertools.chain.from_iterable(one.spans for one, _ in told[:60]))
    refresh()
    assert account() == expected


def test_a_line_that_a_fuller_telling_moves_elsewhere_is_gone(clickhouse: ClickHouse) -> None:
    def tell(model: str, completeness: str) -> None:
        clickhouse.ask(
            "INSERT INTO otel_traces (Timestamp, ScopeName, SpanAttributes) SELECT"
            " '2020-02-02 12:00:00', 'tokenproxy', map('tokenproxy.span.role', 'call',"
            " 'tokenproxy.call.id', '01700000-0000-7000-8000-000000000000',"
            " 'tokenproxy.completeness', {c:String}, 'gen_ai.request.model', {m:String})",
            c=completeness,
            m=model,
        )
        clickhouse.ask("SYSTEM REFRESH VIEW cost_days_refresh")
        clickhouse.ask("SYSTEM WAIT VIEW cost_days_refresh")

    lines = "SELECT model, calls FROM cost_by_day WHERE day = '2020-02-02'"
    tell("asked-for", "partial")
    assert clickhouse.ask(lines) == [{"model": "asked-for", "calls": 1}]
    tell("served", "final")
    assert clickhouse.ask(lines) == [{"model": "served", "calls": 1}]
    forget(clickhouse, "started < '2021-01-01'")
    forget(clickhouse, "day < '2021-01-01'", "cost_days")


def test_what_cannot_be_read_is_null_and_refuses_no_insert(clickhouse: ClickHouse) -> None:
    names = (
        "gen_ai.usage.input_tokens",
        "tokenproxy.cost.usd",
        "tokenproxy.cost.provider_usd",
        "tokenproxy.iteration",
        "http.response.status_code",
        "gen_ai.response.time_to_first_chunk",
        "tokenproxy.usage.server_tool.x",
    )
    for value in ("many", "", "-", "1e999", "18446744073709551616", "nan", "inf"):
        said = "'tokenproxy.completeness', 'final'" + "".join(
            f", '{one}', {{v:String}}" for one in names
        )
        clickhouse.ask(
            "INSERT INTO otel_traces (Timestamp, ScopeName, SpanAttributes, `Events.Timestamp`,"
            " `Events.Name`, `Events.Attributes`) SELECT '2020-01-01 00:00:00', 'tokenproxy',"
            " map('tokenproxy.span.role', 'call', 'tokenproxy.call.id', 'odd ' || {v:String},"
            f" {said}),"
            " [now64(9)], ['tokenproxy.usage.part'], [map('tokenproxy.cost.usd', {v:String},"
            " 'gen_ai.usage.input_tokens', {v:String})]",
            v=value,
        )
    (found,) = clickhouse.ask(
        "SELECT count() AS calls, count(input_tokens) AS counted, count(status_code) AS answered"
        " FROM calls FINAL WHERE call_id LIKE 'odd %'"
    )
    assert found == {"calls": 7, "counted": 0, "answered": 0}
    forget(clickhouse, "call_id LIKE 'odd %'")


@pytest.mark.parametrize("number", range(2))
def test_the_queries_of_the_document_run(clickhouse: ClickHouse, number: int) -> None:
    text = (ROOT / "docs" / "scale.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    assert len(queries) == 2
    assert clickhouse.ask(queries[number]) or number == 0
