"""What a span is before it leaves: all that it says, and where it hangs. Imports no opentelemetry.

Of a call everything is known when its span is made, so a span here is a value. What takes
it (:class:`SpanTaker`) writes OTLP (:mod:`tokenproxy.telemetry.otlp`) or hands it to the
SDK (:mod:`tokenproxy.telemetry.sdk`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

type Value = str | bool | int | float | Sequence[str]
type Attributes = dict[str, Value]

SAMPLED: Final = 1
"""The trace flag (W3C Trace Context, 3.2.2.5.1)."""

_TRACEPARENT: Final = (
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:(-.*)|[ \t]*)"
)
"""Compiled, as the next, when it is first used: most runs never do."""
_LONGEST_TRACEPARENT: Final = 512
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16

_KEY = r"[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = f"({_KEY})=({_VALUE})"
_MOST_MEMBERS: Final = 32


class SpanContext(msgspec.Struct, frozen=True):
    """Where something hangs. Ids are hex digits."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    """W3C trace flags."""
    state: str = ""
    """``tracestate``, valid and without what is not (:func:`trace_state`)."""
    remote: bool = False
    """It is another process's."""

    @property
    def sampled(self) -> bool:
        """Whether the span is kept."""
        return self.flags & SAMPLED != 0


class Link(msgspec.Struct, frozen=True):
    """To a span that is related and no parent."""

    to: SpanContext
    attributes: Attributes


class Event(msgspec.Struct, frozen=True):
    """Something that happened at a moment within a span."""

    name: str
    at_ns: int
    attributes: Attributes


class Shared:
    """Attributes that many spans have alike. They are not changed any more."""

    __slots__ = ("attributes", "written")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.written: bytes | None = None
        """What OTLP has for them in a span, once somebody has written it."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span that has ended.

    Its name and its attributes' names are valid UTF-8. Values may hold half of a surrogate
    pair (an undecodable argument), with which a collector would refuse a whole batch.
    """

    name: str
    kind: Literal["internal", "client"] = "internal"
    trace_id: str
    span_id: str
    """Hex digits."""
    parent: SpanContext | None = None
    """None makes it a trace's root."""
    start_ns: int
    end_ns: int
    shared: Sequence[Shared] = ()
    """Told first. No name comes twice, here or in ``attributes``."""
    attributes: Attributes
    events: Sequence[Event] = ()
    links: Sequence[Link] = ()
    failed: bool = False
    why: str | None = None
    """What ``error.type`` alone does not tell a reader."""

    @property
    def told(self) -> Attributes:
        """All attributes, in their order."""
        if not self.shared:
            return self.attributes
        found: Attributes = {}
        for shared in self.shared:
            found.update(shared.attributes)
        found.update(self.attributes)
        return found


class SpanTaker(Protocol):
    """A way out for spans."""

    def keeps(self, trace_id: str, parent: SpanContext | None) -> bool:
        """Whether the sampler will keep the root of a trace, or what ``parent`` has below it."""
        ...

    def take(self, span: Span) -> SpanContext:
        """Take a span, if the sampler keeps it; its context tells whether it does.

        Raises:
            ValueError: An id is none, or a time is before 1970.
        """
        ...

    def shutdown(self) -> None:
        """Export what is left; blocks while that takes. Once."""
        ...


def extracted(traceparent: str) -> SpanContext | None:
    """The span that a request's ``traceparent`` names; None if it names none.

    Source: W3C Trace Context, 3.2 and 4; read as OpenTelemetry's propagators do.
    """
    if len(traceparent) > _LONGEST_TRACEPARENT:
        return None
    found = re.fullmatch(_TRACEPARENT, traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or trace_id == _NO_TRACE
        or span_id == _NO_SPAN
    ):
        return None
    return SpanContext(trace_id, span_id, int(flags, 16), remote=True)


def trace_state(header: str | None) -> str:
    """What is valid of a ``tracestate``, as its header has it; all or nothing.

    Source: W3C Trace Context, 3.3; read as OpenTelemetry's propagators do.
    """
    members: dict[str, str] = {}
    for part in (header or "").split(","):
        member = part.strip(" \t")
        if not member:
            continue
        found = re.fullmatch(_MEMBER, member)
        if found is None or found[1] in members:
            return ""
        members[found[1]] = found[2]
    if len(members) > _MOST_MEMBERS:
        return ""
    return ",".join(f"{key}={value}" for key, value in members.items())
