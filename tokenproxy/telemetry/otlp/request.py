"""OTLP's requests: what was written, below who sends it and what it is written by.

``ExportTraceServiceRequest`` and ``ExportMetricsServiceRequest`` have one shape
(opentelemetry-proto, collector/…/v1): field 1 is ``ResourceSpans`` or ``ResourceMetrics``
{1 resource, 2 scopes}, those are ``ScopeSpans`` or ``ScopeMetrics`` {1 scope, 2 items,
3 schema_url}; so have their answers: 1 ``partial_success`` {1 rejected, 2 error_message}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tokenproxy.telemetry.otlp.attributes import AttributeWriter
from tokenproxy.telemetry.otlp.protobuf import LEN, fields, message, tag, text

_FIRST, _SECOND, _THIRD = tag(1, LEN), tag(2, LEN), tag(3, LEN)
_NEGATIVE = 1 << 63
"""Where an ``int64`` written as a varint is below 0."""


class Frame:
    """What is around the items of every request of a process: written once.

    Args:
        resource: who sends.
        name: the scope's.
        version: the scope's.
        schema_url: of the items.
    """

    def __init__(
        self, resource: Mapping[str, str], name: str, version: str, schema_url: str
    ) -> None:
        self._resource = message(_FIRST, AttributeWriter(1).write(resource))
        self._scope = message(_FIRST, text(_FIRST, name) + text(_SECOND, version))
        self._schema = text(_THIRD, schema_url)

    def request(self, items: Iterable[bytes]) -> bytes:
        """A request's body with these items, each with the tag of field 2."""
        scoped = message(_SECOND, b"".join((self._scope, *items, self._schema)))
        return message(_FIRST, self._resource + scoped)


class Rejected(msgspec.Struct, frozen=True):
    """What a collector did not take of a request that it took."""

    count: int = 0
    reason: str = ""


def rejected(answer: bytes) -> Rejected:
    """What an answer says of that; nothing if it says nothing, or is no such message."""
    try:
        for field, partial in fields(memoryview(answer)):
            if field == 1 and isinstance(partial, memoryview):
                found = dict(fields(partial))
                count, reason = found.get(1, 0), found.get(2, b"")
                return Rejected(
                    count if isinstance(count, int) and count < _NEGATIVE else 0,
                    "" if isinstance(reason, int) else bytes(reason).decode("utf-8", "replace"),
                )
    except (IndexError, ValueError):
        pass
    return Rejected()
