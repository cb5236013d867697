"""Spans and measurements as they may come, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tokenproxy.telemetry.measured import Exemplar, Metric, Spread, Total
from tokenproxy.telemetry.span import (
    Attributes,
    Event,
    Link,
    Shared,
    Span,
    SpanContext,
    trace_state,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
NAMES = st.sampled_from(["a", "gen_ai.usage.input_tokens", "h\N{LATIN SMALL LETTER E WITH ACUTE}"])
NAME = NAMES | TEXT.filter(bool)
INTS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 127, 128, 1023, 1024])
TIMES = st.integers(0, 2**64 - 1)
FLOATS = st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Any] = (
    st.booleans() | INTS | FLOATS | TEXT | st.lists(TEXT, max_size=3).map(tuple)
    | st.sampled_from([1, 1.0, True, 0, False, 0.0, ("a",), "a"])
)  # fmt: skip
ATTRIBUTES: st.SearchStrategy[Attributes] = st.dictionaries(NAME, VALUES, max_size=8)
LABELS = st.dictionaries(NAME, TEXT | st.booleans() | INTS, max_size=4)


def ids(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


STATES = st.sampled_from(["", "vendor=1", "a=b,t@v=x y", "a=,b", "a=1,a=2", "\t,a=1 "])
CONTEXTS = st.builds(
    SpanContext,
    ids(32),
    ids(16),
    st.sampled_from([0, 1, 2, 3]),
    STATES.map(trace_state),
    st.booleans(),
)
SHARED = st.lists(
    st.tuples(st.sampled_from(["s", "t", "u"]), VALUES), max_size=3, unique_by=lambda pair: pair[0]
).map(lambda pairs: [Shared({name: value}) for name, value in pairs])
"""Of names that no others have."""
EVENTS = st.builds(Event, NAME, TIMES, ATTRIBUTES)
LINKS = st.builds(Link, CONTEXTS, ATTRIBUTES)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A span that its parent, if it has one, is of the same trace with."""
    parent = draw(st.none() | CONTEXTS)
    failed = draw(st.booleans())
    return Span(
        name=draw(NAME),
        kind=draw(st.sampled_from(["internal", "client"])),
        trace_id=parent.trace_id if parent is not None else draw(ids(32)),
        span_id=draw(ids(16)),
        parent=parent,
        start_ns=draw(TIMES),
        end_ns=draw(TIMES),
        shared=draw(SHARED),
        attributes={
            name: value for name, value in draw(ATTRIBUTES).items() if name not in ("s", "t", "u")
        },
        events=draw(st.lists(EVENTS, max_size=3)),
        links=draw(st.lists(LINKS, max_size=3)),
        failed=failed,
        why=draw(st.none() | TEXT.filter(bool)) if failed else None,
    )


EXEMPLARS = st.lists(st.builds(Exemplar, INTS | FLOATS, ids(32), ids(16), TIMES), max_size=3)
TOTALS = st.builds(Total, LABELS, TIMES, TIMES, INTS, EXEMPLARS)
NUMBERS = FLOATS | st.integers(-(2**53), 2**53)


@st.composite
def spreads(draw: st.DrawFn) -> Spread:
    """A histogram's point; its counts need not fit what else it says."""
    bounds = draw(st.lists(FLOATS, max_size=4))
    counts = st.integers(0, 2**50)
    buckets = draw(st.lists(counts, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return Spread(
        draw(LABELS), draw(TIMES), draw(TIMES),
        sum=draw(NUMBERS), least=draw(NUMBERS), most=draw(NUMBERS),
        buckets=buckets, bounds=bounds, exemplars=draw(EXEMPLARS),
    )  # fmt: skip


METRICS = st.builds(
    Metric,
    NAME,
    TEXT,
    TEXT,
    st.booleans(),
    st.lists(TOTALS, min_size=1, max_size=3) | st.lists(spreads(), min_size=1, max_size=3),
)
RESOURCES = st.dictionaries(NAME, TEXT, max_size=3)
