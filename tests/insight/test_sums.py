"""The query as each engine gets it; what it answers is compared in tests/real/stack."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tokenproxy.insight.clickhouse import ClickHouseEngine
from tokenproxy.insight.question import DIMENSIONS, Choice, dimension
from tokenproxy.insight.report import ask_report
from tokenproxy.insight.source import Source
from tokenproxy.insight.sums import sums

TOTAL = (1, 0, 0, 0, 5, None, None, None, 7, None, Decimal("0.1"), 1.5, 1.0, 2.0, None)


class Recorded(ClickHouseEngine):
    """ClickHouse's words, and answers that were thought out before."""

    def __init__(self, *answers: list[tuple[Any, ...]]) -> None:
        source = Source(host="db", port=8123, database="usage", table="mine")
        super().__init__(None, source)  # type: ignore[arg-type]
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers = list(answers)

    def ask(self, sql: str, parameters: Mapping[str, str]) -> list[tuple[Any, ...]]:
        self.asked.append((" ".join(sql.split()), dict(parameters)))
        return self.answers.pop(0)


def test_values_are_parameters_and_never_part_of_the_query() -> None:
    engine = Recorded([])
    choice = Choice(
        since=datetime(2026, 11, 1, tzinfo=UTC),
        where=((dimension("story"), "' OR 1"), (dimension("label:it's"), "a\udcff")),
    )
    sums(engine, [dimension("label:x`y")], choice, by_model=False)
    ((sql, parameters),) = engine.asked
    assert list(parameters.values()) == [
        "x`y",
        "2026-11-01T00:00:00+00:00",
        "' OR 1",
        "it's",
        "a�",
    ]
    assert "OR 1" not in sql
    assert "x`y" not in sql
    assert "toString(story_id) = {p2:String}" in sql
    assert "FROM `usage`.`mine` FINAL" in sql


def test_days_are_of_the_zone() -> None:
    engine = Recorded([(1, "", *TOTAL)])
    ask_report(engine, [dimension("day")], None, "Europe/Berlin")
    assert "formatDateTime(started, '%Y-%m-%d', 'Europe/Berlin') AS key0" in engine.asked[0][0]


def test_lines_and_total_are_one_question_unless_calls_are_divided() -> None:
    engine = Recorded([(0, "US-1", *TOTAL), (1, "", *TOTAL)])
    made = ask_report(engine, [dimension("story")])
    assert [line.keys for line in made.lines] == [("US-1",)]
    assert (made.total.calls, made.total.cost_usd) == (1, 0.1)

    engine = Recorded([(0, "m", *TOTAL), (1, "", *TOTAL)], [(1, *TOTAL)])
    ask_report(engine, [dimension("model")])
    assert "FROM `usage`.`mine_by_model`" in engine.asked[0][0]
    assert "FROM `usage`.`mine` FINAL" in engine.asked[1][0]

    engine = Recorded([(0, "m", *TOTAL), (1, "", *TOTAL)])
    ask_report(engine, [dimension("model")], Choice(where=((dimension("model"), "m"),)))
    assert len(engine.asked) == 1


def test_every_dimension_can_be_asked_for() -> None:
    for name in (*DIMENSIONS[:-1], "label:team"):
        engine = Recorded([(1, None, *TOTAL)])
        sums(engine, [dimension(name)], Choice(), by_model=False)
        assert "AS key0" in engine.asked[0][0]


def test_what_nothing_states_is_unknown() -> None:
    nothing = (0, 0, 0, 0, *[None] * 7, float("nan"), float("nan"), None, None)
    total = ask_report(Recorded([(1, *nothing)]), []).total
    assert (total.calls, total.cost_usd, total.latency_ms_mean, total.latency_ms_p50) == (
        0,
        None,
        None,
        None,
    )


def test_half_a_microsecond_is_rounded_whatever_noise_is_on_it() -> None:
    for noise in (0.0, 1e-10, -1e-10):
        answer = (1, *TOTAL[:11], 12032.7885 + noise, 0.0005 + noise, None, None)
        total = ask_report(Recorded([answer]), []).total
        assert (total.latency_ms_mean, total.latency_ms_p50) == (12032.788, 0.0)
