"""A sink that is opened late misses nothing and holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.record.sink import CLOSED, Deferred, Sink

RUN = RunContext(run_id="run", trace_id="a" * 32, span_id="b" * 16, started_ns=1)
CALL, ROW = cast("Call", object()), cast("Row", object())


class Told(Sink):
    """Remembers what it is told, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def call(self, call: Call, row: Row | None) -> None:
        self.heard.append(("call", call, row))

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        self.heard.append(("recovered", run, call, row))

    def recovery_done(self, over: Collection[str]) -> None:
        self.heard.append(("recovery_done", over))

    def resumed(self, rows: Sequence[Row]) -> None:
        self.heard.append(("resumed", rows))

    def passed(self, provider: str, server_address: str) -> None:
        self.heard.append(("passed", provider, server_address))

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        self.heard.append(("finish", end))
        return ("said",)


ALL: list[tuple[Any, ...]] = [
    ("resumed", [ROW]),
    ("recovered", RUN, CALL, ROW),
    ("recovery_done", {"run"}),
    ("call", CALL, ROW),
    ("passed", "openai", "api.openai.com"),
    ("call", CALL, None),
]


@pytest.mark.parametrize("before", range(len(ALL) + 1))
def test_all_is_told_in_order_whenever_it_is_opened(before: int) -> None:
    told = Told()
    sink = Deferred(lambda: told)
    for number, (name, *values) in enumerate(ALL):
        if number == before:
            sink.open()
        getattr(sink, name)(*values)
        assert len(told.heard) == (number + 1 if number >= before else 0)
    end = IterationEnd(ended_ns=1, exit_status=0)
    assert sink.finish(end) == ("said",)
    assert told.heard == [*ALL, ("finish", end)]


def test_while_it_is_being_opened_nobody_but_the_end_waits() -> None:
    told, begun, go_on = Told(), threading.Event(), threading.Event()

    def make() -> Sink:
        begun.set()
        assert go_on.wait(10)
        return told

    sink = Deferred(make)
    opener = threading.Thread(target=sink.open)
    opener.start()
    assert begun.wait(10)
    sink.call(CALL, ROW)
    finisher = threading.Thread(target=sink.finish, args=(None,))
    finisher.start()
    assert told.heard == []
    go_on.set()
    opener.join(10)
    finisher.join(10)
    assert told.heard == [("call", CALL, ROW), ("finish", None)]


def test_while_it_is_told_what_waited_nobody_waits() -> None:
    """A killed run may have left thousands of calls to tell; requests of ours must go on."""

    class Slow(Told):
        def recovered(self, run: RunContext, call: Call, row: Row) -> None:
            if not self.heard:
                meanwhile.start()
                meanwhile.join(10)
                assert not meanwhile.is_alive()
            super().recovered(run, call, row)

    told = Slow()
    sink = Deferred(lambda: told)
    meanwhile = threading.Thread(target=sink.call, args=(CALL, ROW), daemon=True)
    for _ in range(2):
        sink.recovered(RUN, CALL, ROW)
    sink.open()
    assert told.heard == [("recovered", RUN, CALL, ROW)] * 2 + [("call", CALL, ROW)]


def test_one_that_cannot_be_opened_costs_itself_alone(caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def fail() -> Sink:
        tries.append(1)
        raise RuntimeError("no such thing")

    sink = Deferred(fail)
    sink.call(CALL, ROW)
    sink.open()
    sink.call(CALL, ROW)
    assert sink.finish(None) == (CLOSED,)
    assert tries == [1]
    assert "no such thing" in caplog.text


def test_a_fault_in_what_waited_is_the_end_of_that_alone() -> None:
    class Faulty(Told):
        def resumed(self, rows: Sequence[Row]) -> None:
            raise RuntimeError(str(rows))

    told = Faulty()
    sink = Deferred(lambda: told)
    sink.resumed([ROW])
    sink.call(CALL, ROW)
    sink.open()
    assert told.heard == [("call", CALL, ROW)]
