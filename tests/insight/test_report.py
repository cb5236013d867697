from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.insight.rows import Row, failed, legacy, row, write
from tokenproxy.insight.query import open_ledger
from tokenproxy.insight.question import DIMENSIONS, Choice, dimension
from tokenproxy.insight.report import REPORT_SCHEMA, Report, make_report


@pytest.fixture
def report(tmp_path: Path) -> Any:
    """Make a report of these rows."""

    def make(rows: list[Row], *by: str, zone: str = "UTC", **choice: Any) -> Report:
        with open_ledger([write(tmp_path / "l.jsonl", rows)]) as ledger:
            return make_report(ledger, [dimension(name) for name in by], Choice(**choice), zone)

    return make


def keys(made: Report) -> list[tuple[Any, ...]]:
    return [line.keys for line in made.lines]


def test_sums_are_of_what_is_known(report: Any) -> None:
    made = report([row("a"), row("b", cost_usd=0.5), failed("c")], "story")
    (line,) = made.lines
    assert line.keys == ("US-7",)
    assert line.totals == made.total
    total = made.total
    assert (total.calls, total.failed, total.unpriced, total.incomplete) == (3, 1, 0, 0)
    assert (total.input_tokens, total.output_tokens) == (34_120, 110)
    assert total.uncached_input_tokens == 24
    assert total.cache_read_input_tokens == 30_000
    assert total.cache_creation_input_tokens == 4_096
    assert total.reasoning_output_tokens is None
    assert total.cost_usd == pytest.approx(0.5145, abs=1e-12)


def test_unknown_is_not_nothing(report: Any) -> None:
    total = report([failed("a")]).total
    assert (total.calls, total.failed) == (1, 1)
    assert total.input_tokens is None
    assert total.cost_usd is None
    assert total.unpriced == 0  # it used nothing


def test_calls_whose_price_or_count_is_unknown_are_counted(report: Any) -> None:
    rows = [
        row("a", cost_usd=None),
        legacy(call_id="-", cost_usd=None),
        row("b", completeness="partial", outcome="aborted", success=False),
        failed("c", outcome="lost", status_code=None),
        row("d", completeness="none", cost_usd=None, input_tokens=None, output_tokens=None),
        failed("e"),
    ]
    total = report(rows).total
    assert total.unpriced == 2
    assert total.incomplete == 3


def test_latency_is_of_successful_calls(report: Any) -> None:
    rows = [row(str(ms), latency_ms=float(ms), ttft_ms=ms / 2) for ms in range(100, 1101, 100)]
    total = report([*rows, failed("x")]).total
    assert total.latency_ms_mean == 600
    assert total.latency_ms_p50 == 600
    assert total.latency_ms_p95 == 1050
    assert total.ttft_ms_p50 == 300


def test_days_are_of_the_zone(report: Any) -> None:
    rows = [row("a", timestamp="2026-11-21T23:30:00.000Z"), row("b")]
    assert keys(report(rows, "day")) == [("2026-11-21",), ("2026-11-22",)]
    assert keys(report(rows, "day", zone="Europe/Berlin")) == [("2026-11-22",)]
    assert keys(report(rows, "hour", zone="Europe/Berlin")) == [
        ("2026-11-22 00:00",),
        ("2026-11-22 01:00",),
    ]
    assert keys(report(rows, "week")) == [("2026-W47",)]
    assert keys(report(rows, "month")) == [("2026-11",)]


def test_every_dimension_groups(report: Any) -> None:
    rows = [
        row("a", agent_type="Explore", agent_id="x", session_id="s", project="p", client="c/1"),
        row("b", agent_id="y", request_class="subagent", labels={"team, x": "green"}),
        legacy(call_id="-", success=False),
    ]
    found = {
        name: sorted(map(str, (key for (key,) in keys(report(rows, name)))))
        for name in [*DIMENSIONS[:-1], "label:team, x"]
    }
    assert found["agent"] == ["Explore", "main", "subagent"]
    assert found["outcome"] == ["complete", "error"]
    assert found["session"] == ["None", "s"]
    assert found["project"] == ["None", "p"]
    assert found["client"] == ["None", "c/1"]
    assert found["class"] == ["None", "subagent"]
    assert found["label:team, x"] == ["None", "green"]
    assert found["iteration"] == ["3"]
    assert found["provider"] == ["anthropic"]


def test_a_gateways_calls_are_of_no_iteration(report: Any) -> None:
    served = row("a", story_id="", iteration=0)
    numbered = row("b", story_id="", iteration=0, project="p")
    rows = [served, numbered, row("c", story_id="", iteration=1)]
    assert set(keys(report(rows, "iteration"))) == {(None,), (0,), (1,)}


def test_several_dimensions_and_their_order(report: Any) -> None:
    rows = [
        row("a", iteration=2, cost_usd=0.1),
        row("b", iteration=10, cost_usd=9),
        row("c", story_id="US-1", cost_usd=5),
    ]
    assert keys(report(rows, "story", "iteration")) == [("US-1", 3), ("US-7", 2), ("US-7", 10)]
    # Without an order of its own: what cost the most first, unknown cost last.
    rows.append(row("d", story_id="", cost_usd=None))
    assert keys(report(rows, "story")) == [("US-7",), ("US-1",), ("",)]


PARTS = [
    {"model": "claude-opus-5-5", "role": "main", "input_tokens": 10, "output_tokens": 1},
    {"model": "claude-opus-5-5", "role": "compaction", "input_tokens": 5, "output_tokens": 2},
    {"model": "claude-haiku-4-5", "role": "advisor", "input_tokens": 7, "output_tokens": 3},
    {
        "model": "claude-sonnet-5-5",
        "role": "fallback_declined",
        "billable": False,
        "input_tokens": 99,
    },
]


def test_a_call_that_billed_several_models_is_divided_among_them(report: Any) -> None:
    parts = [part | {"cost_usd": cost} for part, cost in zip(PARTS, (1, 2, 4, 0), strict=True)]
    several = row("a", parts=parts, input_tokens=22, output_tokens=6, cost_usd=7)
    made = report([several, row("b", cost_usd=0.5)], "model")
    opus, haiku = sorted(made.lines, key=lambda line: str(line.keys), reverse=True)
    assert opus.keys == ("claude-opus-5-5",)
    assert (opus.totals.calls, opus.totals.input_tokens) == (2, 17_075)
    assert opus.totals.cost_usd == 3.5
    assert haiku.keys == ("claude-haiku-4-5",)
    assert (haiku.totals.calls, haiku.totals.output_tokens, haiku.totals.cost_usd) == (1, 3, 4)
    assert (made.total.calls, made.total.input_tokens, made.total.cost_usd) == (2, 17_082, 7.5)
    # By anything else the row's own sums hold.
    assert report([several], "story").total.input_tokens == 22


def test_a_model_can_be_chosen_in_calls_that_billed_several(report: Any) -> None:
    several = row("a", parts=[part | {"cost_usd": 1} for part in PARTS])
    made = report([several, row("b")], where=((dimension("model"), "claude-haiku-4-5"),))
    assert (made.total.calls, made.total.output_tokens, made.total.cost_usd) == (1, 3, 1)


def test_a_part_without_a_price_makes_its_model_unpriced(report: Any) -> None:
    parts = [PARTS[0] | {"cost_usd": 1}, PARTS[2]]
    made = report([row("a", parts=parts, cost_usd=None)], "model")
    found = {line.keys[0]: line.totals.unpriced for line in made.lines}
    assert found == {"claude-opus-5-5": 0, "claude-haiku-4-5": 1}
    assert made.total.unpriced == 1


def test_a_call_with_nothing_billed_is_still_a_call_of_its_model(report: Any) -> None:
    nothing = row("a", parts=[PARTS[3]], input_tokens=0, output_tokens=0, cost_usd=0)
    (line,) = report([nothing], "model").lines
    assert line.keys == ("claude-opus-5-5",)
    assert (line.totals.calls, line.totals.input_tokens) == (1, 0)


def test_choosing_a_time(report: Any) -> None:
    moments = ["2026-11-22T00:00:00Z", "2026-11-22T00:00:00.830Z", "2026-11-22T00:00:01.000Z", "-"]
    rows = [row(str(i), timestamp=moment) for i, moment in enumerate(moments)]
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    assert report(rows).total.calls == 4
    assert report(rows, since=midnight).total.calls == 3
    assert report(rows, since=midnight, until=midnight.replace(second=1)).total.calls == 2
    assert report(rows, until=midnight).total.calls == 0


def test_choosing_by_value(report: Any) -> None:
    rows = [row("a", labels={"it's": 'a "b"'}), row("b", iteration=4), row("c", story_id="")]

    def calls(name: str, value: str) -> int:
        return int(report(rows, where=((dimension(name), value),)).total.calls)

    assert calls("story", "US-7") == 2
    assert calls("story", "") == 1
    assert calls("iteration", "4") == 1
    assert calls("label:it's", 'a "b"') == 1
    assert calls("story", "' OR true --") == 0


@pytest.mark.parametrize("name", ["colour", "", "label:", "label", "DAY"])
def test_an_unknown_dimension_is_told_with_the_known(name: str) -> None:
    with pytest.raises(ValueError, match="is no dimension: use one of hour, day"):
        dimension(name)


def test_the_form_of_json(report: Any) -> None:
    made = report([row("a")], "story", "label:team").as_json()
    assert list(made) == ["schema", "by", "rows", "total"]
    assert made["schema"] == REPORT_SCHEMA
    assert made["by"] == ["story", "label:team"]
    assert list(made["rows"][0]) == ["story", "label:team", *made["total"]]
    assert list(made["total"]) == [
        "calls",
        "failed",
        "unpriced",
        "incomplete",
        "input_tokens",
        "uncached_input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
        "cost_usd",
        "latency_ms_mean",
        "latency_ms_p50",
        "latency_ms_p95",
        "ttft_ms_p50",
    ]


def test_a_thousand_small_costs_add_up_exactly(report: Any) -> None:
    rows = [row(str(i), cost_usd=0.07232) for i in range(1000)]
    assert report(rows).total.cost_usd == pytest.approx(72.32, abs=1e-9)


def test_the_total_does_not_depend_on_the_grouping(report: Any) -> None:
    parts = [
        {"model": "claude-opus-5-5", "input_tokens": 3, "output_tokens": 5, "cost_usd": 0.00044},
        {"model": "unheard-of", "input_tokens": 7, "output_tokens": 1},
    ]
    rows = [row("a"), row("b", cost_usd=None, input_tokens=10, output_tokens=6, parts=parts)]
    totals = [report(rows, *by).total for by in ((), ("day",), ("model",), ("model", "day"))]
    assert totals[1:] == totals[:-1]
    assert totals[0].cost_usd == 0.0145
    assert (totals[0].calls, totals[0].unpriced) == (2, 1)
    lines = {line.keys: line.totals.cost_usd for line in report(rows, "model").lines}
    assert lines == {("claude-opus-5-5",): 0.01494, ("unheard-of",): None}


def test_what_the_provider_states_is_what_was_spent(report: Any) -> None:
    rows = [
        row("c1", cost_usd=0.01, provider_cost_usd=0.25),
        row("c2", cost_usd=None, provider_cost_usd=0.5),
        row("c3", cost_usd=0.125),
        row("c4", cost_usd=None),
        row("c5", cost_usd=1.0, provider_cost_usd=0.0),
    ]
    total = report(rows).total
    assert (total.cost_usd, total.unpriced) == (0.875, 1)


def test_what_the_provider_states_is_divided_as_our_costs_are(report: Any) -> None:
    def parts(*costs: float | None) -> list[dict[str, Any]]:
        return [
            {"model": f"m{number}", "input_tokens": 1, "output_tokens": 1, "cost_usd": cost}
            for number, cost in enumerate(costs, 1)
        ]

    def by_model(*costs: float | None) -> dict[Any, tuple[float | None, int]]:
        found = report([row("c1", provider_cost_usd=0.5, parts=parts(*costs))], "model")
        assert found.total.cost_usd == 0.5
        return {line.keys[0]: (line.totals.cost_usd, line.totals.unpriced) for line in found.lines}

    assert by_model(0.03, 0.01) == {"m1": (0.375, 0), "m2": (0.125, 0)}
    assert by_model(0.03, None) == {"m1": (0.5, 0), "m2": (0.0, 0)}
    assert by_model(0.0, 0.0) == {"m1": (0.5, 0), "m2": (0.0, 0)}


def test_a_model_without_a_price_stands_apart(report: Any) -> None:
    rows = [row("c1"), row("c2", model="unheard-of", cost_usd=None)]
    found = {line.keys: line.totals for line in report(rows, "model").lines}
    assert found["unheard-of",].cost_usd is None
    assert (found["unheard-of",].unpriced, found["claude-opus-5-5",].unpriced) == (1, 0)
