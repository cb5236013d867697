"""OTLP's ``Span`` (opentelemetry-proto, trace/v1) from a span of ours, as the SDK has it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from tokenproxy.telemetry.otlp.attributes import AttributeWriter
from tokenproxy.telemetry.otlp.protobuf import (
    LEN,
    VARINT,
    fixed32,
    fixed64,
    message,
    tag,
    text,
    varint,
)
from tokenproxy.telemetry.span import Event, Link, Span, SpanContext, Value

LIMIT: Final = 128
"""Attributes, events and links of a span, and attributes of those: the specification's defaults.
Of more the first are dropped, and counted."""

REMEMBERED: Final = 256
"""Names of spans that are kept in mind. All are forgotten when there are more."""

_SPANS: Final = tag(2, LEN)
"""Of ScopeSpans."""
_TRACE_ID, _SPAN_ID = tag(1, LEN) + b"\x10", tag(2, LEN) + b"\x08"
_STATE, _PARENT, _NAME = tag(3, LEN), tag(4, LEN) + b"\x08", tag(5, LEN)
_KINDS = {"internal": tag(6, VARINT) + b"\x01", "client": tag(6, VARINT) + b"\x03"}
_START, _END = 0x39, 0x41
_START_AND_END: Final = struct.Struct("<BQBQ").pack
_EVENT, _LINK, _STATUS = tag(11, LEN), tag(13, LEN), tag(15, LEN)
_FEWER_ATTRIBUTES, _FEWER_EVENTS, _FEWER_LINKS = tag(10, VARINT), tag(12, VARINT), tag(14, VARINT)
_OURS, _ANOTHERS = b"\x85\x01" + fixed32(0x100), b"\x85\x01" + fixed32(0x300)
"""``flags``: whether the parent is another process's is known; and it is."""
_UNSET: Final = _STATUS + b"\x00"
_MESSAGE, _ERROR = tag(2, LEN), tag(3, VARINT) + b"\x02"  # of Status
_AT, _EVENT_NAME, _FEWER_OF_EVENT = b"\x09", tag(2, LEN), tag(4, VARINT)
_FEWER_OF_LINK: Final = tag(5, VARINT)
_LINK_TO_OURS, _LINK_TO_ANOTHERS = b"\x35" + fixed32(0x100), b"\x35" + fixed32(0x300)

_TRACE_BYTES, _SPAN_BYTES = 16, 8


class SpanWriter:
    """Writes spans as a ``ScopeSpans``' repeated field. Used by one thread at a time."""

    def __init__(self) -> None:
        self._attributes = AttributeWriter(9)
        self._of_events = AttributeWriter(3)
        self._of_links = AttributeWriter(4)
        self._place: tuple[str, SpanContext | None] | None = None
        """Trace and parent of the last span: most hang where the last one did."""
        self._trace = self._above = self._flags = b""
        self._names: dict[str, bytes] = {}

    def write(self, span: Span) -> bytes:
        """One span.

        Raises:
            ValueError: An id is none, or a time cannot be told.
        """
        place = self._place
        if place is None or place[1] is not span.parent or place[0] != span.trace_id:
            self._hang(span.trace_id, span.parent)
        parts = [
            self._trace,
            _id(span.span_id, _SPAN_BYTES),
            self._above,
            self._names.get(span.name) or self._name(span.name),
            _KINDS[span.kind],
            _times(span.start_ns, span.end_ns),
        ]
        many = len(span.attributes)
        for shared in span.shared:
            many += len(shared.attributes)
        if many > LIMIT:
            attributes, fewer = _limited(span.told)
            parts += (self._attributes.write(attributes), _FEWER_ATTRIBUTES, varint(fewer))
        else:
            for shared in span.shared:
                if shared.written is None:
                    shared.written = self._attributes.write(shared.attributes)
                parts.append(shared.written)
            parts.append(self._attributes.write(span.attributes))
        if span.events:
            parts += self._events(span.events)
        if span.links:
            parts += self._links(span.links)
        parts += (_status(span) if span.failed else _UNSET, self._flags)
        return message(_SPANS, b"".join(parts))

    def _hang(self, trace_id: str, parent: SpanContext | None) -> None:
        """Write where a span hangs."""
        self._place = None
        self._trace = _TRACE_ID + _id(trace_id, _TRACE_BYTES) + _SPAN_ID
        self._above = b""
        if parent is not None:
            self._above = text(_STATE, parent.state) + _PARENT + _id(parent.span_id, _SPAN_BYTES)
        self._flags = _ANOTHERS if parent is not None and parent.remote else _OURS
        self._place = trace_id, parent

    def _name(self, name: str) -> bytes:
        if len(self._names) >= REMEMBERED:
            self._names.clear()
        written = self._names[name] = text(_NAME, name)
        return written

    def _events(self, events: Sequence[Event]) -> list[bytes]:
        parts = [message(_EVENT, self._event(event)) for event in events[-LIMIT:]]
        if len(events) > LIMIT:
            parts += (_FEWER_EVENTS, varint(len(events) - LIMIT))
        return parts

    def _event(self, event: Event) -> bytes:
        attributes, fewer = _limited(event.attributes)
        told = _AT + _time(event.at_ns) + text(_EVENT_NAME, event.name)
        told += self._of_events.write(attributes)
        return told + _FEWER_OF_EVENT + varint(fewer) if fewer else told

    def _links(self, links: Sequence[Link]) -> list[bytes]:
        parts = [message(_LINK, self._link(link)) for link in links[-LIMIT:]]
        if len(links) > LIMIT:
            parts += (_FEWER_LINKS, varint(len(links) - LIMIT))
        return parts

    def _link(self, link: Link) -> bytes:
        attributes, fewer = _limited(link.attributes)
        told = _ids(link.to) + self._of_links.write(attributes)
        if fewer:
            told += _FEWER_OF_LINK + varint(fewer)
        return told + (_LINK_TO_ANOTHERS if link.to.remote else _LINK_TO_OURS)


def _ids(context: SpanContext) -> bytes:
    trace_id = _id(context.trace_id, _TRACE_BYTES)
    return _TRACE_ID + trace_id + _SPAN_ID + _id(context.span_id, _SPAN_BYTES)


def _id(digits: str, size: int) -> bytes:
    found = bytes.fromhex(digits)
    if len(found) != size:
        raise ValueError(f"{digits!r} is no id")
    return found


def _time(at_ns: int) -> bytes:
    if not 0 <= at_ns < 1 << 64:
        raise ValueError(f"{at_ns} ns is no time")
    return fixed64(at_ns)


def _times(start_ns: int, end_ns: int) -> bytes:
    try:
        return _START_AND_END(_START, start_ns, _END, end_ns)
    except struct.error:
        raise ValueError(f"{start_ns} or {end_ns} ns is no time") from None


def _status(span: Span) -> bytes:
    return message(_STATUS, text(_MESSAGE, span.why or "") + _ERROR)


def _limited(attributes: Mapping[str, Value]) -> tuple[Mapping[str, Value], int]:
    """The last of them, and how many are left out."""
    fewer = len(attributes) - LIMIT
    if fewer <= 0:
        return attributes, 0
    return dict(list(attributes.items())[fewer:]), fewer
