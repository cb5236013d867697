from __future__ import annotations

import pytest

from tokenproxy.config import RunContext
from tokenproxy.launch.traceparent import Parent, for_child, inherited

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def test_a_parent_is_inherited_with_its_state() -> None:
    env = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "a=1,b=2"}
    assert inherited(env) == Parent(TRACE, SPAN, 1, "a=1,b=2")


def test_a_later_version_may_say_more() -> None:
    assert inherited({"TRACEPARENT": f"01-{TRACE}-{SPAN}-03-more"}) == Parent(TRACE, SPAN, 1, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}\u0663-{SPAN}-01",
    ],
)
def test_what_is_not_valid_is_no_parent(value: str) -> None:
    assert inherited({"TRACEPARENT": value, "TRACESTATE": "a=1"}) is None


def test_the_command_gets_our_span_as_parent() -> None:
    run = RunContext(run_id="r", trace_id=TRACE, span_id=SPAN, started_ns=0, trace_flags=0)
    assert for_child(run) == {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"}
    run = RunContext(run_id="r", trace_id=TRACE, span_id=SPAN, started_ns=0, tracestate="a=1")
    assert for_child(run) == {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "a=1"}
