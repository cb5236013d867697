"""Spans as the Collector's ClickHouse exporter 0.165 inserts them.

From its exporter_traces.go and internal/sqltemplates/traces_insert.sql. Every value of an
attribute becomes text, as pcommon.Value.AsString writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id

from tests.real.stack.clickhouse import ClickHouse

COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Links.TraceId",
    "Links.SpanId",
    "Links.TraceState",
    "Links.Attributes",
)
"""Of its INSERT, in its order."""
INSERT = f"INSERT INTO otel_traces ({', '.join(COLUMNS)}) FORMAT JSONCompactEachRow"


def insert(clickhouse: ClickHouse, spans: Iterable[ReadableSpan]) -> None:
    """Insert the spans, in one block."""
    lines = [json.dumps(_record(span)) for span in spans]
    if lines:
        clickhouse.ask(INSERT, "\n".join(lines).encode())


def text(value: Any) -> str:
    """A value as the exporter writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case tuple() | list():
            return json.dumps(list(value), separators=(",", ":"))
    return str(value)


def _float(value: float) -> str:
    """As Go writes a float in JSON: without an exponent, but for very small and large ones."""
    if value and not 1e-6 <= abs(value) < 1e21:
        digits, _, exponent = repr(value).partition("e")
        sign, power = exponent[0], exponent[1:].lstrip("0")
        return f"{digits.removesuffix('.0')}e{sign}{power}"
    written = format(Decimal(repr(value)), "f")
    return written.removesuffix(".0")


def _map(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: text(value) for name, value in (attributes or {}).items()}


def _time(unix_ns: int | None) -> str:
    seconds, rest = divmod(unix_ns or 0, 1_000_000_000)
    return f"{seconds}.{rest:09d}"


def _record(span: ReadableSpan) -> list[Any]:
    assert span.context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    scope = span.instrumentation_scope
    assert scope is not None
    links = [(one.context, _map(one.attributes)) for one in span.links]
    return [
        _time(span.start_time),
        format_trace_id(span.context.trace_id),
        format_span_id(span.context.span_id),
        format_span_id(span.parent.span_id) if span.parent else "",
        "",
        span.name,
        span.kind.name.capitalize(),
        str(span.resource.attributes["service.name"]),
        _map(span.resource.attributes),
        scope.name,
        scope.version or "",
        _map(span.attributes),
        span.end_time - span.start_time,
        span.status.status_code.name.capitalize(),
        "",
        [_time(event.timestamp) for event in span.events],
        [event.name for event in span.events],
        [_map(event.attributes) for event in span.events],
        [format_trace_id(context.trace_id) for context, _ in links],
        [format_span_id(context.span_id) for context, _ in links],
        ["" for _ in links],
        [attributes for _, attributes in links],
    ]
