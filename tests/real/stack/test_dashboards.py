"""Every panel of every dashboard, asked of the real Prometheus and Jaeger after real runs."""

from __future__ import annotations

import re
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import Bench, Row, total, wait_until
from tests.real.conftest import CLIENT_ENV
from tests.real.stack import grafana, otlp, traffic
from tests.real.stack.accounts import await_telemetry
from tests.real.stack.grafana import Period, Target
from tests.real.stack.stack import Stack
from tests.real.stack.world import World

EXPECTED_ALERTS = {"TokenproxyCallsLost", "TokenproxyPriceUnknown", "TokenproxyCollectorLoses"}
EXIT_STATUS = "22"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root: Path = tmp_path_factory.mktemp("dashboards")
    bench = Bench(root)
    bench.env.update(CLIENT_ENV)
    (root / "stack").mkdir()
    with Stack(root / "stack") as stack:
        started = time.time()
        made = traffic.make(bench, stack.env)
        rows = bench.rows()
        await_telemetry(stack, rows)
        # After the rest: Prometheus refuses all that is in a batch with it.
        endpoint = stack.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert otlp.send(endpoint, started - 365 * 86400) == 200, "the collector takes anything"
        # The collector tells of itself every ten seconds; alerts are looked at every thirty.
        lost = "sum(otelcol_exporter_send_failed_metric_points_total)"
        wait_until(lambda: stack.prometheus.value(lost) > 0, 60, "no loss was told")
        growth = "count(increase(otelcol_receiver_accepted_spans_total[1m]))"
        wait_until(lambda: stack.prometheus.value(growth) > 0, 60, "the collector is silent")
        alerts = 'count(ALERTS{alertstate="firing"})'
        enough = len(EXPECTED_ALERTS)
        wait_until(lambda: stack.prometheus.value(alerts) >= enough, 90, "too few alerts fire")
        yield World(stack, rows, made, Period(started - 600, time.time()))


def firing(stack: Stack) -> dict[str, str]:
    """Alerts that fire -> what they say."""
    return {
        alert["labels"]["alertname"]: alert["annotations"]["description"]
        for alert in stack.prometheus.api("alerts")["alerts"]
        if alert["state"] == "firing"
    }


# -- every query ----------------------------------------------------------------------


@pytest.mark.parametrize("name", grafana.NAMES)
def test_every_query_finds_series(world: World, name: str) -> None:
    found = {
        target.panel: _answer(world, target)
        for target in grafana.targets(name)
        if not target.is_traces
    }
    assert len(found) > 10
    assert not {panel: said for panel, said in found.items() if said}


def _answer(world: World, target: Target) -> str:
    """What is wrong with a query; empty if nothing is."""
    if "annotation" in target.panel:
        # The alert that just fired is seen with the next step, a minute from now at most.
        world = replace(world, period=Period(world.period.start, world.period.end + 60))
    try:
        found = world.ask(target, strict=True)
    except urllib.error.HTTPError as error:
        return f"{error.read().decode()} {target.expression(world.period)}"
    values = [value for series in found for _, value in series.get("values", [series.get("value")])]
    if not found:
        return f"no series: {target.expression(world.period)}"
    return "" if any(value != "NaN" for value in values) else "not a number"


@pytest.mark.parametrize("name", grafana.NAMES)
def test_every_search_finds_traces(world: World, name: str) -> None:
    searches = [target for target in grafana.targets(name) if target.is_traces]
    assert searches or name == "overview"
    for target in searches:
        assert traces(world, target), target.panel


def traces(world: World, target: Target, story: str = "ST-1") -> set[str]:
    """Ids of the traces that a panel lists."""
    tags = grafana.tags(target, story=story, status=EXIT_STATUS)
    limit = target.query["limit"]
    return set(
        world.stack.jaeger.search(
            limit=limit, **{key.replace(".", "__"): tags[key] for key in tags}
        )
    )


def test_searches_find_what_they_say(world: World) -> None:
    search = grafana.target("loop", "Iterations", "A")
    nested = next(t for t in grafana.targets("loop") if t.is_traces and "story" in str(t.query))
    assert search.panel == nested.panel
    killed = next(row for row in world.rows if row["outcome"] == "lost")["trace_id"]
    for story in ("ST-1", "ST-2", traffic.ODD_STORY):
        of_calls = {row["trace_id"] for row in world.rows if row["story_id"] == story}
        found = traces(world, nested, story)
        assert of_calls <= found
        # Runs that made no call have a trace and no row.
        ended = world.made.by_story[story] + (killed in of_calls)
        assert len(found) == ended
    failed = traces(world, grafana.target("loop", "Iterations that exited with $status"))
    assert len(failed) == world.made.iterations[EXIT_STATUS]
    errors = {row["trace_id"] for row in world.rows if row["outcome"] == "error"}
    assert traces(world, grafana.target("live", "Latest traces with an error")) == errors


def test_dots_lead_to_traces(world: World) -> None:
    """Exemplars of every chart that shows them bear the label that the data source follows."""
    with_dots = [
        target
        for name in grafana.NAMES
        for target in grafana.targets(name)
        if target.query.get("exemplar")
    ]
    assert len(with_dots) > 5
    for target in with_dots:
        found = world.stack.prometheus.exemplars(target.expression(world.period))
        assert found, target.panel
        for exemplar in found:
            labels = exemplar["labels"]
            spans = {span.span_id for span in world.stack.jaeger.trace(labels["trace_id"])}
            assert labels["span_id"] in spans, target.panel


def test_variables_offer_what_there_is(world: World) -> None:
    offered = {
        variable["name"]: _values(world, variable["query"]["query"])
        for name in grafana.NAMES
        for variable in grafana.load(name)["templating"]["list"]
        if variable["type"] == "query"
    }
    assert offered == {
        "provider": {"anthropic", "openai", "gcp.gemini", "deepseek"},
        "model": {row["requested_model"] for row in world.rows},
        "story": {row["story_id"] for row in world.rows} - {""},
    }
    assert traffic.ODD_STORY in offered["story"]


def _values(world: World, query: str) -> set[str]:
    """What Grafana asks for ``label_values(metric, label)``."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert found
    selector = grafana.interpolate(found[1], world.period, 60, {})
    asked = {"match[]": selector, "start": world.period.start, "end": world.period.end}
    return set(world.stack.prometheus.api(f"label/{found[2]}/values", **asked))


# -- numbers --------------------------------------------------------------------------


def nanos(rows: list[Row]) -> int:
    spent = [row.get("provider_cost_usd", row.get("cost_usd")) for row in rows]
    return sum(round((usd or 0) * 1e9) for usd in spent)


def tokens(rows: list[Row]) -> int:
    return total(rows, "input_tokens") + total(rows, "output_tokens")


def count(rows: list[Row], **wanted: object) -> int:
    return sum(all(row.get(key) == value for key, value in wanted.items()) for row in rows)


def is_incomplete(row: Row) -> bool:
    """It may have been billed for more than is known (docs/ledger.md)."""
    if row["completeness"] != "none":
        return bool(row["completeness"] == "partial")
    answered = row.get("status_code", 599) < 400
    return answered or row["outcome"] in {"aborted", "truncated", "lost"}


def test_the_overview_s_numbers_are_the_ledger_s(world: World) -> None:
    rows = world.rows
    unpriced = [
        row
        for row in rows
        if row["completeness"] != "none" and not {"cost_usd", "provider_cost_usd"} & set(row)
    ]
    retries = [row for row in rows if "retry_of" in row or row.get("attempt")]
    failed = len(rows) - count(rows, outcome="complete")
    spent = nanos(rows) / 1e9
    cached = total(rows, "cache_read_input_tokens")
    expected = {
        "Spend": spent,
        "Projected month": spent * 30 * 86400 / world.period.seconds,
        "Day's budget used": spent / 50,
        "Tokens": tokens(rows),
        "Cache hit ratio": cached / total(rows, "input_tokens"),
        "Calls": len(rows),
        "Failed calls": failed / len(rows),
        "Incomplete calls": sum(map(is_incomplete, rows)),
        "Calls without a price": len(unpriced),
        "Retries": len(retries),
        "Fallbacks": count(rows, fallback_used=True),
        "Passed requests": world.made.passed,
        "Read from a cache": cached,
        "Reasoning in the output": (
            total(rows, "reasoning_output_tokens") / total(rows, "output_tokens")
        ),
    }
    assert all(expected.values())
    shown = {title: float(world.number("overview", title)) for title in expected}
    assert shown == pytest.approx(expected, rel=1e-12)


def test_the_loop_s_numbers_are_the_ledger_s(world: World) -> None:
    rows, made = world.rows, world.made
    ended = sum(made.iterations.values())
    iterations = ended + made.lost
    expected = {
        "Iterations": iterations,
        "Iterations an hour": iterations * 3600 / world.period.seconds,
        "Succeeded": made.iterations["0"] / iterations,
        "Spend an iteration": nanos(rows) / 1e9 / iterations,
        "Calls an iteration": len(rows) / iterations,
    }
    shown = {title: float(world.number("loop", title)) for title in expected}
    assert shown == pytest.approx(expected, rel=1e-12)
    failed = {status: runs for status, runs in made.iterations.items() if status != "0"}
    assert world.by("error_type", "loop", "Failed iterations") == failed
    assert sum(world.by("tokenproxy_outcome", "loop", "Iterations by outcome").values()) == (
        iterations
    )


def test_tables_and_charts_by_story_are_the_ledger_s(world: World) -> None:
    def by_story(measure: Any) -> dict[str, float]:
        stories = {row["story_id"] for row in world.rows}
        each = {
            story: measure([row for row in world.rows if row["story_id"] == story])
            for story in stories
        }
        return {story: value for story, value in each.items() if value}

    story = "tokenproxy_story_id"
    lost = next(row for row in world.rows if row["outcome"] == "lost")["story_id"]
    runs = Counter(world.made.by_story) + Counter({lost: world.made.lost})
    spend = by_story(lambda rows: nanos(rows) / 1e9)
    assert world.by(story, "loop", "Stories", "A") == pytest.approx(spend)
    assert world.by(story, "loop", "Stories", "B") == dict(runs)
    assert world.by(story, "loop", "Stories", "D") == by_story(len)
    assert world.by(story, "loop", "Stories", "E") == by_story(
        lambda rows: len(rows) - count(rows, outcome="complete")
    )
    assert world.by(story, "loop", "Stories", "F") == by_story(tokens)
    for board in ("loop", "overview"):
        assert world.by(story, board, "Spend by story") == pytest.approx(spend)
    assert world.by(story, "loop", "Tokens by story") == by_story(tokens)
    assert world.by(story, "loop", "Calls by story") == by_story(len)


def test_charts_of_calls_are_the_ledger_s(world: World) -> None:
    rows = world.rows
    outcomes = world.by("tokenproxy_outcome", "overview", "Calls by outcome")
    assert outcomes == Counter(row["outcome"] for row in rows)
    assert set(outcomes) == {"complete", "error", "aborted", "truncated", "lost"}
    errors = Counter(row["error"] for row in rows if "error" in row)
    assert world.by("error_type", "overview", "Errors by type") == errors
    assert world.by("error_type", "overview", "Errors") == errors
    cut = Counter(row["outcome"] for row in rows if is_incomplete(row))
    assert world.by("tokenproxy_outcome", "overview", "Incomplete calls by outcome") == cut
    assert set(cut) == {"complete", "aborted", "truncated", "lost"}
    notes = Counter(
        note for row in rows for note in {note.partition(":")[0] for note in row.get("notes", ())}
    )
    assert world.by("tokenproxy_note", "overview", "Discrepancies") == notes
    assert sum(world.by("x", "overview", "Tokens by kind").values()) == tokens(rows)
    assert sum(world.by("x", "overview", "Model mix").values()) == tokens(rows)
    assert sum(world.by("x", "overview", "Provider mix").values()) == tokens(rows)


def test_what_is_chosen_is_what_is_summed(world: World) -> None:
    """A variable at one value, at several, and at a value that is no regular expression."""
    for story in ("ST-1", "ST-2", traffic.ODD_STORY):
        rows = [row for row in world.rows if row["story_id"] == story]
        assert world.number("overview", "Calls", story=story) == len(rows)
        assert world.number("loop", "Iterations", story=story) == (
            world.made.by_story[story] + count(rows, outcome="lost")
        )
    assert world.number("overview", "Calls", provider="openai") == count(
        world.rows, provider="openai"
    )
    assert world.number("overview", "Calls", model=traffic.UNKNOWN_MODEL) == 1
    both = grafana.target("overview", "Tokens").expression(
        world.period, {"story": ("ST-1", traffic.ODD_STORY), "provider": ("anthropic",)}
    )
    chosen = [r for r in world.rows if r["story_id"] in ("ST-1", traffic.ODD_STORY)]
    assert world.stack.prometheus.value(both) == tokens(chosen)


def test_percentiles_are_of_every_call_once(world: World) -> None:
    """In both dialects: what the median is taken of counts as many calls as the ledger."""
    for title, expected in (
        ("Duration of calls", len(world.rows)),
        ("Time to first content", sum("ttft_ms" in row for row in world.rows)),
    ):
        expression = grafana.target("overview", title).expression(world.period)
        inner = expression.removeprefix("histogram_quantile(0.5, ").removesuffix(")")
        whole = re.sub(r"\[\w+\]", f"[{world.period.seconds}s]", inner)
        counted = world.stack.prometheus.by("le", whole)
        assert counted["+Inf"] == expected, title
        assert list(counted.values()) != [expected] * len(counted), "one bucket has them all"
    speed = world.by("gen_ai_request_model", "overview", "Speed by model")
    assert set(speed) == {row["requested_model"] for row in world.rows}


def test_what_went_wrong_is_alerted_and_nothing_else(world: World) -> None:
    said = firing(world.stack)
    assert set(said) == EXPECTED_ALERTS
    assert said["TokenproxyCallsLost"].startswith(
        "Under way when their proxy was killed, in the last hour: 1."
    )
    assert said["TokenproxyPriceUnknown"].endswith("missing from every sum of money: 1.")
    assert "1 measurements that the backend did not take" in said["TokenproxyCollectorLoses"]
    assert world.number("live", "Alerts") == len(EXPECTED_ALERTS)


# -- time -----------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [1, 5, 15, 60, 300])
def test_bars_add_up_to_the_range_wherever_it_is_cut(world: World, step_s: int) -> None:
    """Bars do not overlap and leave nothing out; they begin where the step does."""
    chart = grafana.target("overview", "Calls by outcome")
    stat = grafana.target("overview", "Calls")
    ask = world.stack.prometheus
    middle = _middle(world)
    for start in (world.period.start, middle, middle + 0.5, middle + 7):
        # A range of whole steps, up to now; and the same as a user's would be, not aligned.
        for period in (
            Period(start, world.period.end),
            Period(start // step_s * step_s, time.time()),
        ):
            cut = period.aligned(step_s)
            series = ask.series(
                chart.expression(period, step_s=step_s), start=cut.start, end=cut.end, step_s=step_s
            )
            bars = sum(value for points in series.values() for _, value in points)
            shown = Period(cut.start, cut.end + step_s)
            expected = ask.api("query", query=stat.expression(shown), time=shown.end)["result"]
            assert bars == sum(Decimal(each["value"][1]) for each in expected), (step_s, start)
            if start == world.period.start:
                assert bars == len(world.rows)


def _middle(world: World) -> float:
    """A time with samples before and after it."""
    raw = world.stack.prometheus.api(
        "query", query=f"tokenproxy_calls_total[{world.period.seconds}s]", time=world.period.end
    )["result"]
    times = sorted(when for series in raw for when, _ in series["values"])
    assert times[-1] - times[0] > 10
    return float(times[len(times) // 2])
