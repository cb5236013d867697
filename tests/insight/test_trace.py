from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.insight.rows import RUN, STARTED_MS, Row, legacy, row, write
from tokenproxy.insight import trace
from tokenproxy.insight.query import LedgerError
from tokenproxy.insight.trace import (
    CallNode,
    GroupNode,
    Trace,
    TraceRow,
    find_run,
    last_run,
    make_trace,
    read_row,
)

OTHER = "019ab9f0-0000-7000-8000-00000000000f"
LATER = "019ab9f1-0000-7000-8000-000000000001"


def at(ms: float) -> str:
    """A row's timestamp, this long after the run's start."""
    moment = datetime.fromtimestamp((STARTED_MS + ms) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ids(rows: list[TraceRow]) -> set[str]:
    return {row.call_id for row in rows}


def shape(node: GroupNode | CallNode) -> Any:
    if isinstance(node, CallNode):
        return node.row.call_id
    return [f"{node.kind} {node.id}", *map(shape, node.children)]


def made(rows: list[Row]) -> Trace:
    return make_trace([one for one in map(read_row, rows) if one is not None])


def tree(rows: list[Row]) -> GroupNode:
    return made(rows).root


def test_calls_hang_on_turns_and_agents() -> None:
    rows = [
        row("title", timestamp=at(0), request_class="auxiliary"),
        row("m1", timestamp=at(10), turn_id="t1"),
        row("s1", timestamp=at(300), turn_id="t1", agent_id="x", agent_type="Explore"),
        row("s2", timestamp=at(600), turn_id="t1", agent_id="x", agent_type="Explore"),
        row("m2", timestamp=at(900), turn_id="t1"),
        row("m3", timestamp=at(2000), turn_id="t2"),
    ]
    root = tree(rows[::-1])
    assert shape(root) == [
        f"run {RUN}",
        "title",
        ["turn t1", "m1", ["agent x", "s1", "s2"], "m2"],
        ["turn t2", "m3"],
    ]
    assert [call.number for call in root.calls()] == [1, 2, 3, 4, 5, 6]
    turn = root.children[1]
    assert isinstance(turn, GroupNode)
    assert (turn.start_ms, turn.duration_ms) == (10, 1090)
    assert turn.sums.calls == 4
    assert turn.sums.input_tokens == 4 * 17_060
    agent = turn.children[1]
    assert isinstance(agent, GroupNode)
    assert (agent.agent_type, agent.sums.calls, agent.start_ms) == ("Explore", 2, 300)
    assert root.duration_ms == 2200
    assert root.sums.cost_usd == pytest.approx(0.087, abs=1e-12)


def test_agents_nest_by_parent_and_the_same_agent_in_two_turns_is_two_nodes() -> None:
    rows = [
        row("a", timestamp=at(0), turn_id="t", agent_id="child", parent_agent_id="mother"),
        row("b", timestamp=at(10), turn_id="t", agent_id="mother"),
        row("c", timestamp=at(20), turn_id="t", agent_id="orphan", parent_agent_id="unseen"),
        row("d", timestamp=at(30), turn_id="u", agent_id="child", parent_agent_id="mother"),
        row("e", timestamp=at(40), agent_id="free"),
    ]
    assert shape(tree(rows)) == [
        f"run {RUN}",
        ["turn t", ["agent mother", ["agent child", "a"], "b"], ["agent orphan", "c"]],
        ["turn u", ["agent child", "d"]],
        ["agent free", "e"],
    ]


def test_agents_that_name_each_other_as_parents_still_stand_in_the_tree() -> None:
    rows = [
        row("a", turn_id="t", agent_id="x", parent_agent_id="y"),
        row("b", turn_id="t", agent_id="y", parent_agent_id="x"),
        row("c", turn_id="t", agent_id="z", parent_agent_id="z"),
    ]
    assert {call.row.call_id for call in tree(rows).calls()} == {"a", "b", "c"}


@given(st.lists(st.tuples(*[st.sampled_from([None, "a", "b", "c"])] * 3), min_size=1, max_size=12))
def test_every_call_is_in_the_tree_once(links: list[tuple[str | None, ...]]) -> None:
    rows = [
        row(str(number), turn_id=turn, agent_id=agent, parent_agent_id=parent)
        for number, (turn, agent, parent) in enumerate(links)
    ]
    root = tree(rows)
    assert sorted(call.number for call in root.calls()) == list(range(1, len(rows) + 1))
    assert root.sums.calls == len(rows)


def test_a_call_that_stands_twice_counts_once() -> None:
    lost = row("a", outcome="lost", completeness="partial", output_tokens=1)
    for rows in ([lost, row("a")], [row("a"), lost]):
        assert tree(rows).sums.output_tokens == 55


def test_the_last_run_is_the_one_that_wrote_last(tmp_path: Path) -> None:
    rows: list[Row | bytes] = [
        row("a", timestamp=at(0)),
        row("b", timestamp=at(5), run_id=OTHER),
        row("c", timestamp=at(9)),
        b"broken\n",
        legacy(),
    ]
    assert ids(last_run(write(tmp_path / "l.jsonl", rows))) == {"a", "c"}


def test_the_last_run_is_found_without_reading_what_is_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400_000
    old = [row(f"old {n}", run_id=OTHER, timestamp=at(-day)) for n in range(2000)]
    # A recovered call's row stands late and says nothing of where we are.
    lost = row("lost", run_id=LATER, timestamp=at(-day), outcome="lost")
    path = write(tmp_path / "l.jsonl", [*old, row("a", timestamp=at(0)), lost, row("b")])
    converted = []
    real = trace.read_row

    def counted(raw: object) -> TraceRow | None:
        converted.append(raw)
        return real(raw)

    monkeypatch.setattr(trace, "read_row", counted)
    assert ids(last_run(path)) == {"a", "b"}
    assert len(converted) == 4


def test_a_run_whose_id_tells_no_time_is_looked_for_everywhere(tmp_path: Path) -> None:
    rows = [row("a", run_id="r"), row("b", run_id=OTHER, timestamp=at(-9e9)), row("c", run_id="r")]
    assert ids(last_run(write(tmp_path / "l.jsonl", rows))) == {"a", "c"}


@pytest.mark.parametrize("prefix", [RUN, RUN[:-1], RUN[:-1].upper()])
def test_a_run_is_found_by_how_its_id_begins(tmp_path: Path, prefix: str) -> None:
    rows: list[Row | bytes] = [
        row("a"),
        row("b", run_id=LATER),
        b"broken " + RUN.encode() + b"\n",
        row("c"),
    ]
    assert ids(find_run(write(tmp_path / "l.jsonl", rows), prefix)) == {"a", "c"}


def test_a_whole_id_wins_over_longer_ones(tmp_path: Path) -> None:
    rows = [row("a", run_id="r1"), row("b", run_id="r11")]
    assert ids(find_run(write(tmp_path / "l.jsonl", rows), "r1")) == {"a"}


def test_what_could_be_several_runs_is_told_with_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a"), row("b", run_id=LATER, story_id="", iteration=4)])
    with pytest.raises(LedgerError) as caught:
        find_run(path, "019ab9f")
    assert str(caught.value) == (
        "'019ab9f' begins 2 runs, say more of the id: "
        f"{RUN} (story 'US-7', iteration 3, 2026-11-22 00:54:55), "
        f"{LATER} (iteration 4, 2026-11-22 00:54:55)"
    )


def test_a_gateways_turns_share_neither_number_nor_trace(tmp_path: Path) -> None:
    served = [row(name, story_id="", iteration=0, trace_id=name * 32) for name in "ab"]
    later = row("c", run_id=LATER, story_id="", iteration=0)
    path = write(tmp_path / "l.jsonl", [*served, later])
    with pytest.raises(LedgerError) as caught:
        find_run(path, RUN[:4])
    assert f"{RUN} (gateway, 2026-11-22 00:54:55)" in str(caught.value)
    head = made(served).as_json()
    assert not head.keys() & {"iteration", "trace_id"}
    assert head["story_id"] == ""
    assert made(served[:1]).as_json()["trace_id"] == "a" * 32


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a", session_id="no-such-run")])
    with pytest.raises(LedgerError, match=r"No run 'no-such-run' in .*--by run"):
        find_run(path, "no-such-run")
    with pytest.raises(LedgerError, match="has no run to show"):
        last_run(write(tmp_path / "l.jsonl", [legacy()]))
    with pytest.raises(LedgerError, match="There is no ledger at"):
        last_run(tmp_path / "none")
    with pytest.raises(LedgerError, match="cannot be read"):
        find_run(tmp_path, "x")


def test_json_leaves_out_what_is_unknown() -> None:
    rows = [
        row("a", timestamp=at(0), turn_id="t", project="shop"),
        row("b", timestamp=at(10), turn_id="t", agent_id="x", agent_type="Explore"),
    ]
    whole = made(rows).as_json()
    assert json.loads(json.dumps(whole)) == whole
    assert list(whole) == [
        *("schema", "run_id", "story_id", "iteration", "project", "started"),
        *("duration_ms", "totals", "children"),
    ]
    (turn,) = whole["children"]
    assert (turn["kind"], turn["id"], turn["totals"]["calls"]) == ("turn", "t", 2)
    call, agent = turn["children"]
    assert (call["kind"], call["number"], call["call_id"], call["start_ms"]) == ("call", 1, "a", 0)
    assert "error" not in call
    assert "parts" not in call
    assert (agent["kind"], agent["agent_type"], agent["start_ms"]) == ("agent", "Explore", 10)


def test_the_providers_own_figure_is_what_was_spent() -> None:
    root = tree(
        [
            row("a", cost_usd=0.125, provider_cost_usd=0.25),
            row("b", cost_usd=None, provider_cost_usd=0.5),
            row("c", cost_usd=0.125),
        ]
    )
    assert (root.sums.cost_usd, root.sums.unpriced) == (0.875, 0)
    assert [call.row.spent_usd for call in root.calls()] == [0.25, 0.5, 0.125]


def test_json_has_every_key_of_a_calls_row() -> None:
    one = row("a", requested_model="opus", response_id="msg_1", stream=True, price_version="p")
    one |= {"labels": {"team": "x"}, "of_a_later_version": [1], "kind": "odd", "error": None}
    (call,) = made([one]).as_json()["children"]
    own = {"kind": "call", "number": 1, "start_ms": 0.0, "duration_ms": 200.0}
    del one["error"]
    assert call == one | own


@pytest.mark.parametrize("name", ["whole", "row"])
def test_a_foreign_key_takes_no_place_of_ours(name: str) -> None:
    (call,) = made([row("a", **{name: 5})]).as_json()["children"]
    assert (call["call_id"], call[name]) == ("a", 5)


@pytest.mark.parametrize(
    ("changes", "incomplete", "unpriced"),
    [
        ({}, 0, 0),
        ({"cost_usd": None}, 0, 1),
        ({"completeness": "partial"}, 1, 0),
        ({"completeness": "partial", "cost_usd": None}, 1, 1),
        ({"completeness": "none", "cost_usd": None}, 1, 0),
        ({"completeness": "none", "cost_usd": None, "status_code": 101}, 1, 0),
        ({"completeness": "none", "cost_usd": None, "status_code": 400}, 0, 0),
        ({"completeness": "none", "cost_usd": None, "status_code": None}, 0, 0),
        (
            {"completeness": "none", "cost_usd": None, "status_code": None, "outcome": "lost"},
            1,
            0,
        ),
    ],
)
def test_what_is_not_fully_told_is_counted_as_the_runs_summary_does(
    changes: Row, incomplete: int, unpriced: int
) -> None:
    sums = tree([row("a", **changes)]).sums
    assert (sums.incomplete, sums.unpriced) == (incomplete, unpriced)
