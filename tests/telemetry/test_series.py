"""How many series a process makes: few, the same from run to run, whoever asks for what."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.record.call import Call
from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv
from tokenproxy.telemetry.series import LIMIT, PROVIDERS, Series

DIALECTS = pytest.mark.parametrize("dialect", [V1_41, GENAI_MAIN], ids=lambda each: each.name)
MANY = 1700
SDK_LIMIT = 2000
"""opentelemetry-sdk's own, an export interval long: beyond it all attributes are lost."""


def hostile(count: int) -> Iterable[Call]:
    """Calls that each ask another model of another host, get another, and fail otherwise."""
    (call,) = [call for call in scene.calls() if call.start.call_id == "call-1"]
    for number in range(count):
        yield msgspec.structs.replace(
            call,
            start=msgspec.structs.replace(
                call.start,
                call_id=f"hostile-{number}",
                provider=f"host-{number % 700}.example",
                server_address=f"host-{number}.example",
                server_port=1024 + number,
            ),
            request=msgspec.structs.replace(call.request, model=f"model-{number}"),
            end=msgspec.structs.replace(
                call.end,
                outcome="error",
                error=f"error_{number}",
                reading=msgspec.structs.replace(call.end.reading, model=f"served-{number}"),
            ),
        )


def series(memory: Memory) -> dict[str, set[frozenset[tuple[str, object]]]]:
    found: dict[str, set[frozenset[tuple[str, object]]]] = {}
    for metric, point in memory.points:
        found.setdefault(metric.name, set()).add(frozenset(point.attributes.items()))
    return found


@DIALECTS
def test_a_hostile_client_makes_no_more_than_so_many(dialect: Semconv) -> None:
    calls = [*scene.calls(), *hostile(MANY)]
    memory = Memory(dialect=dialect).play(calls)
    found = series(memory)
    assert found
    for metric, sets in found.items():
        assert len(sets) < SDK_LIMIT, metric
        assert frozenset({("otel.metric.overflow", True)}) not in sets, metric


@DIALECTS
def test_what_is_summed_is_exact_all_the_same(dialect: Semconv) -> None:
    calls = [*hostile(MANY), *scene.calls()]
    memory = Memory(dialect=dialect).play(calls)
    rows = [row for call in calls if (row := scene.row_of(call)) is not None]
    tokens = "tokenproxy.usage.tokens"
    assert memory.total(tokens, tokenproxy__story__id="ST-1") == memory.total(tokens)
    assert memory.total(tokens, tokenproxy__token__kind="output") == sum(
        row.output_tokens or 0 for row in rows
    )
    kinds = [each for each in semconv.TOKEN_KINDS if each != "output"]
    assert sum(memory.total(tokens, tokenproxy__token__kind=kind) for kind in kinds) == sum(
        row.input_tokens or 0 for row in rows
    )
    outcomes = {row.outcome for row in rows}
    assert {
        outcome: memory.total("tokenproxy.calls", tokenproxy__outcome=outcome)
        for outcome in outcomes
    } == {outcome: sum(row.outcome == outcome for row in rows) for outcome in outcomes}


def test_what_was_known_before_keeps_its_own_series() -> None:
    plain = series(Memory().play(scene.calls()))
    both = series(Memory().play([*scene.calls(), *hostile(MANY)]))
    agents = "gen_ai.invoke_agent.duration"
    assert all(sets <= both[metric] for metric, sets in plain.items() if metric != agents)


def test_beyond_the_limit_others_words_go_first_and_providers_last() -> None:
    bound = Series(V1_41, limit=2, providers=1)

    def told(number: int) -> dict[str, str | bool | int]:
        return bound.bounded(
            "m",
            {
                "gen_ai.request.model": f"model-{number}",
                "gen_ai.provider.name": f"provider-{number}",
                "server.address": f"host-{number}",
                "server.port": number,
                "tokenproxy.token.kind": "output",
            },
        )

    first, second = told(1), told(2)
    assert (first["gen_ai.request.model"], second["gen_ai.request.model"]) == ("model-1", "model-2")
    assert told(3) == {
        "gen_ai.request.model": "_OTHER",
        "gen_ai.provider.name": "provider-3",
        "server.address": "_OTHER",
        "server.port": 0,
        "tokenproxy.token.kind": "output",
    }
    assert told(4)["gen_ai.provider.name"] == "_OTHER"
    assert told(1) == first
    assert told(3)["gen_ai.provider.name"] == "provider-3"
    assert told(4)["tokenproxy.token.kind"] == "output"


def test_each_metric_has_its_own() -> None:
    bound = Series(V1_41, limit=1, providers=0)
    model = "gen_ai.request.model"
    assert bound.bounded("a", {model: "x"}) == {model: "x"}
    assert bound.bounded("b", {model: "y"}) == {model: "y"}
    assert bound.bounded("a", {model: "y"}) == {model: "_OTHER"}


def test_the_limits_leave_room_below_the_sdks() -> None:
    kinds = len(semconv.TOKEN_KINDS)
    operations = 20
    assert LIMIT + PROVIDERS + kinds * operations < SDK_LIMIT


@DIALECTS
def test_the_same_story_again_makes_the_same_series(dialect: Semconv) -> None:
    runs = [
        msgspec.structs.replace(
            scene.RUN, run_id=f"01890000-0000-7000-8000-00000000000{number}", iteration=number
        )
        for number in range(1, 6)
    ]
    first, *others = [series(Memory(run, dialect).play(scene.calls())) for run in runs]
    assert first
    assert all(other == first for other in others)


@DIALECTS
def test_no_series_is_of_one_run_call_session_or_trace(dialect: Semconv) -> None:
    told = [
        value
        for _, point in Memory(dialect=dialect).play(scene.calls()).points
        for value in point.attributes.values()
    ]
    ids = {scene.RUN.run_id, scene.TRACE, scene.ROOT, scene.SESSION, scene.TURN, scene.AGENT}
    ids |= {call.start.call_id for call in scene.calls()} | {"msg_1"}
    assert not ids & set(told)
