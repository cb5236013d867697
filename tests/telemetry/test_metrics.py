"""Sums over measurements equal sums over rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.config import IterationEnd
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry.semconv import GENAI_MAIN, TOKEN_KINDS, V1_41


@pytest.fixture
def played() -> Memory:
    return Memory().play(scene.calls())


def rows(calls: Sequence[Call] | None = None) -> list[Row]:
    found = [scene.row_of(call) for call in (calls or scene.calls())]
    return [row for row in found if row is not None]


def column(name: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows())


def test_tokens_by_kind_are_the_ledger_s_columns(played: Memory) -> None:
    by_kind = {
        kind: played.total("tokenproxy.usage.tokens", tokenproxy__token__kind=kind)
        for kind in TOKEN_KINDS
    }
    split = column("cache_creation_5m_input_tokens") + column("cache_creation_1h_input_tokens")
    assert by_kind == {
        "uncached_input": column("uncached_input_tokens"),
        "cache_read": column("cache_read_input_tokens"),
        "cache_creation_5m": column("cache_creation_5m_input_tokens"),
        "cache_creation_1h": column("cache_creation_1h_input_tokens"),
        "cache_creation_30m": 0,
        "cache_creation_12h": 0,
        "cache_creation_other": column("cache_creation_input_tokens") - split,
        "input_other": 0,
        "output": column("output_tokens"),
    }
    assert by_kind["cache_creation_other"] == 14


def test_all_kinds_together_are_input_and_output_once(played: Memory) -> None:
    total = column("input_tokens") + column("output_tokens")
    assert played.total("tokenproxy.usage.tokens") == total
    assert total > 0


def test_reasoning_is_apart_and_not_in_the_sum(played: Memory) -> None:
    assert played.total("tokenproxy.usage.reasoning_tokens") == column("reasoning_output_tokens")
    assert column("reasoning_output_tokens") == 9


def test_money_adds_up_to_the_ledger_s_to_the_nanodollar(played: Memory) -> None:
    nanos = played.total("tokenproxy.cost.usd_nanos")
    assert isinstance(nanos, int)
    assert nanos == sum(round((row.cost_usd or 0) * 1e9) for row in rows())


def test_each_row_is_one_call_by_its_outcome(played: Memory) -> None:
    assert played.total("tokenproxy.calls") == len(rows()) == 7
    for outcome, number in {"complete": 5, "error": 1, "aborted": 1}.items():
        assert played.total("tokenproxy.calls", tokenproxy__outcome=outcome) == number
    assert played.total("tokenproxy.calls", error__type="overloaded_error") == 1
    # Of the calls with usage one has no known price: the cut one.
    assert played.total("tokenproxy.calls", tokenproxy__cost__known=False) == 1


def test_a_retry_is_counted_as_one(played: Memory) -> None:
    assert played.total("tokenproxy.calls", tokenproxy__retry=True) == 1
    assert played.total("tokenproxy.calls", tokenproxy__retry=False) == 6
    assert played.total("tokenproxy.calls", tokenproxy__fallback_used=True) == sum(
        row.fallback_used for row in rows()
    )


@pytest.mark.parametrize(
    ("end", "outcome", "error", "seconds"),
    [
        (scene.END, "complete", None, 8.0),
        (IterationEnd(ended_ns=scene.at(9.0), exit_status=130), "error", "130", 9.0),
        (None, "lost", None, 0.0),
    ],
)
def test_an_iteration_is_counted_once_by_how_it_ended(
    end: IterationEnd | None, outcome: str, error: str | None, seconds: float
) -> None:
    played = Memory().play(scene.calls(), end)
    assert played.total("tokenproxy.iterations") == 1
    assert (
        played.total(
            "tokenproxy.iterations",
            tokenproxy__outcome=outcome,
            tokenproxy__story__id="ST-1",
            gen_ai__agent__name="claude",
            error__type=error,
        )
        == 1
    )
    assert played.total(
        "tokenproxy.iteration.duration", tokenproxy__outcome=outcome
    ) == pytest.approx(seconds)


def test_a_gateway_has_no_iterations() -> None:
    run = msgspec.structs.replace(scene.RUN, gateway=True)
    played = Memory(run).play(scene.calls())
    assert played.total("tokenproxy.calls") == 7
    assert played.total("tokenproxy.iterations") == 0


def test_tokens_go_to_the_model_that_was_billed(played: Memory) -> None:
    compaction = {"gen_ai__response__model": scene.HAIKU, "tokenproxy__token__kind": "output"}
    assert played.total("tokenproxy.usage.tokens", **compaction) == 30
    assert played.total("gen_ai.client.token.usage", gen_ai__response__model=scene.HAIKU) == (
        17_062 + 30
    )
    assert played.total("tokenproxy.cost.usd_nanos", gen_ai__response__model=scene.HAIKU) == (
        10_000_001
    )


def test_the_standard_token_metric_has_all_but_the_output_of_cut_calls(played: Memory) -> None:
    usage = "gen_ai.client.token.usage"
    assert played.total(usage, gen_ai__token__type="input") == column("input_tokens")
    assert played.total(usage, gen_ai__token__type="output") == column("output_tokens") - 3


def test_genai_main_counts_the_same() -> None:
    played = Memory(dialect=GENAI_MAIN).play(scene.calls())
    name = "gen_ai.client.inference."
    assert played.total(f"{name}usage.input_tokens") == column("input_tokens")
    assert played.total(f"{name}usage.output_tokens") == column("output_tokens") - 3
    assert played.total(f"{name}usage.cache_read.input_tokens") == column("cache_read_input_tokens")
    assert played.total(f"{name}usage.cache_write.input_tokens") == column(
        "cache_creation_input_tokens"
    )
    assert played.total(f"{name}usage.reasoning.output_tokens") == 7
    assert played.total(f"{name}operation.input_tokens") == column("input_tokens")
    assert played.total("tokenproxy.usage.tokens") == column("input_tokens") + column(
        "output_tokens"
    )


def test_durations_are_seconds_of_every_call_and_first_chunks_of_streams() -> None:
    old = Memory().play(scene.calls())
    assert old.total("gen_ai.client.operation.duration") == pytest.approx(5.1)
    assert old.total(
        "gen_ai.client.operation.duration", gen_ai__operation__name="count_tokens"
    ) == pytest.approx(0.1)
    assert old.total("gen_ai.client.operation.time_to_first_chunk") == pytest.approx(6 * 0.25)
    new = Memory(dialect=GENAI_MAIN).play(scene.calls())
    assert new.total("gen_ai.client.inference.duration") == pytest.approx(5.0)
    assert new.total("gen_ai.client.operation.duration") == pytest.approx(0.1)


def test_genai_main_measures_agents_and_tools_as_long_as_their_spans() -> None:
    new = Memory(dialect=GENAI_MAIN).play(scene.calls())
    agents = "gen_ai.invoke_agent.duration"
    assert new.total(agents, gen_ai__agent__name="claude-cli") == pytest.approx(6.5)
    assert new.total(agents, gen_ai__agent__name="general-purpose") == pytest.approx(1.8)
    assert new.total("gen_ai.execute_tool.duration") == pytest.approx(1.094 + 0.022 + 0.5)
    alone = Memory(dialect=GENAI_MAIN).play([scene.calls()[-1]])
    assert alone.total(agents, gen_ai__agent__name="claude") == pytest.approx(8.0)


def test_a_row_that_splits_nothing_is_counted_whole() -> None:
    call = scene.calls()[0]
    row = scene.row_of(call)
    assert row is not None
    bare = msgspec.structs.replace(
        row,
        input_tokens=100,
        uncached_input_tokens=None,
        cache_read_input_tokens=30,
        cache_creation_input_tokens=None,
        cache_creation_5m_input_tokens=None,
        cache_creation_1h_input_tokens=None,
    )
    memory = Memory(dialect=V1_41)
    memory.sink.call(call, bare)
    memory.play([], None)
    kind = "tokenproxy__token__kind"
    assert memory.total("tokenproxy.usage.tokens", **{kind: "cache_read"}) == 30
    assert memory.total("tokenproxy.usage.tokens", **{kind: "input_other"}) == 70
    assert memory.total("tokenproxy.usage.tokens") == 155


def test_a_story_is_on_our_counters_and_not_on_histograms(played: Memory) -> None:
    found = set()
    for metric, point in played.points:
        has = "tokenproxy.story.id" in point.attributes
        ours = metric.name.startswith("tokenproxy.")
        assert has == (ours and hasattr(point, "value")), metric.name
        found.add(has)
    assert found == {True, False}


def test_a_run_of_no_story_has_no_story_attribute() -> None:
    memory = Memory(msgspec.structs.replace(scene.RUN, story_id="")).play(scene.calls())
    assert memory.points
    assert all("tokenproxy.story.id" not in point.attributes for _, point in memory.points)


def test_measurements_point_to_their_trace(played: Memory) -> None:
    exemplars = [e for _, point in played.points for e in point.exemplars]
    assert exemplars
    assert {f"{e.trace_id:032x}" for e in exemplars} == {scene.TRACE}


def test_many_short_runs_add_up() -> None:
    runs = [Memory().play(scene.calls()) for _ in range(3)]
    one = runs[0].total("tokenproxy.usage.tokens")
    assert sum(run.total("tokenproxy.usage.tokens") for run in runs) == 3 * one
