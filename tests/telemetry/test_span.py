"""Contexts from headers, held to OpenTelemetry's propagator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tokenproxy.telemetry.span import SpanContext, extracted, trace_state

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEX = st.text("0123456789abcdefA", max_size=3)
PARENTS = st.sampled_from(
    [
        f"00-{TRACE}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-00\t",
        f"00-{TRACE}-{SPAN}-ff",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-03-more",
        f"cc-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-{'x' * 600}",
        "",
    ]
) | st.builds("{}-{}-{}-{}".format, HEX, st.just(TRACE), st.just(SPAN), HEX)


@given(PARENTS)
def test_a_traceparent_is_read_as_opentelemetry_does(header: str) -> None:
    carrier = {"traceparent": header}
    found = TraceContextTextMapPropagator().extract(carrier, Context())
    theirs = get_current_span(found).get_span_context()
    expected = (
        SpanContext(
            f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}", theirs.trace_flags, remote=True
        )
        if theirs.is_valid
        else None
    )
    assert extracted(header) == expected


MEMBERS = st.sampled_from(
    ["a=1", "b=2 ", "a=", "=x", "t@v=x y", "UP=1", "a" * 256 + "=1", "a" * 257 + "=1", "", " ",
     "b=" + "v" * 256, "b=" + "v" * 257, "a=b=c", "1@x=1", "1=1", "c=\N{EURO SIGN}"]
) | st.builds("k{}=1".format, st.integers(0, 40))  # fmt: skip


@given(st.lists(MEMBERS, max_size=36))
def test_a_tracestate_is_read_as_opentelemetry_does(members: list[str]) -> None:
    header = ",".join(members)
    theirs = TraceState.from_header([header])
    assert trace_state(header) == ",".join(f"{key}={value}" for key, value in theirs.items())


@pytest.mark.parametrize("count", [32, 33])
def test_a_tracestate_has_32_members_at_most(count: int) -> None:
    header = ",".join(f"k{number}=1" for number in range(count))
    assert trace_state(header) == (header if count == 32 else "")


def test_no_header_is_no_state() -> None:
    assert trace_state(None) == ""


@pytest.mark.parametrize(("flags", "sampled"), [(0, False), (1, True), (2, False), (3, True)])
def test_the_flags_tell_whether_it_is_sampled(flags: int, *, sampled: bool) -> None:
    assert SpanContext(TRACE, SPAN, flags).sampled is sampled
