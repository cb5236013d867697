"""Calls of a run that was killed are told as that run's, by whoever settles them."""

from __future__ import annotations

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.telemetry import semconv as names

DEAD = msgspec.structs.replace(
    scene.RUN,
    run_id="01890000-0000-7000-8000-00000000dead",
    trace_id="d" * 32,
    span_id="e" * 16,
    parent_span_id=None,
    story_id="ST-dead",
    iteration=9,
)


def recovered(over: set[str]) -> Memory:
    memory = Memory()
    for call in scene.calls():
        start = msgspec.structs.replace(call.start, trace_id=DEAD.trace_id)
        theirs = msgspec.structs.replace(call, start=start)
        row = scene.row_of(theirs, DEAD)
        if row is not None:
            memory.sink.recovered(DEAD, theirs, row)
    memory.sink.recovery_done(over)
    return memory


@pytest.fixture
def told() -> Memory:
    return recovered({DEAD.run_id}).play(scene.calls())


def theirs_of(memory: Memory) -> list[str]:
    """Names of the dead run's spans."""
    return [s.name for s in memory.spans if s.context and f"{s.context.trace_id:032x}" == "d" * 32]


def test_its_end_is_told_when_the_recovery_is_over() -> None:
    memory = recovered({DEAD.run_id})
    before = theirs_of(memory)
    assert before.count("invoke_agent claude") == before.count("invoke_agent claude-cli") == 1
    memory.play(scene.calls())
    assert theirs_of(memory) == before


def test_a_run_that_lives_on_tells_its_end_itself() -> None:
    memory = recovered(set()).play(scene.calls())
    found = theirs_of(memory)
    assert len(found) > 5
    assert not [name for name in found if name.startswith("invoke_agent")]


def test_what_a_run_used_before_its_proxy_was_killed_is_in_its_sums() -> None:
    memory = Memory()
    first, *rest = scene.calls()
    row = scene.row_of(first)
    assert row is not None
    memory.sink.resumed([row])
    memory.play(rest)
    whole = Memory().play(scene.calls())
    for name in (names.SUM_CALLS, names.SUM_INPUT, names.SUM_OUTPUT, names.SUM_COST_USD):
        found, wanted = (one.span(scene.ROOT).attributes for one in (memory, whole))
        assert found is not None
        assert wanted is not None
        assert found[name] == wanted[name]
    assert memory.total(names.CALLS.name) == whole.total(names.CALLS.name) - 1


def test_its_trace_is_its_own_with_its_own_root(told: Memory) -> None:
    theirs = [s for s in told.spans if s.context and f"{s.context.trace_id:032x}" == DEAD.trace_id]
    ours = [span for span in told.spans if span not in theirs]
    assert len(theirs) > 5
    roots = [span for span in theirs if span.parent is None]
    assert [f"{span.context.span_id:016x}" for span in roots if span.context] == [DEAD.span_id]
    for span in theirs:
        assert span.attributes is not None
        assert span.attributes.get(names.STORY_ID, "ST-dead") == "ST-dead"
    for span in ours:
        assert span.attributes is not None
        assert span.attributes.get(names.STORY_ID, "ST-1") == "ST-1"


def test_its_counters_bear_its_story(told: Memory) -> None:
    calls: dict[object, int] = {}
    for metric, point in told.points:
        if metric.name == names.CALLS.name:
            story = point.attributes.get(names.STORY_ID)
            calls[story] = calls.get(story, 0) + point.value
    rows = [call for call in scene.calls() if scene.row_of(call, scene.RUN) is not None]
    assert calls == {"ST-1": len(rows), "ST-dead": len(rows)}


def test_its_own_runs_calls_are_simply_calls() -> None:
    memory = Memory()
    first, *rest = scene.calls()
    row = scene.row_of(first, scene.RUN)
    assert row is not None
    memory.sink.recovered(scene.RUN, first, row)
    memory.play(rest)
    assert len({span.context.trace_id for span in memory.spans if span.context}) == 1
