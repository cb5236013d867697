"""Results of a batch: one download, many calls.

A message batch is asked for in one request and answered days later by a file
with one result a line. Each result was a model call and becomes a call and a
row of its own, with the download's times and request id. Its call_id follows
from the download's, so that a recovery after a crash makes the same rows again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from tokenproxy.ids import derived_span_id
from tokenproxy.record.call import Call
from tokenproxy.wire.usage import Reading, RequestFacts

REMEMBERED = 200_000
"""Response ids kept in mind: two batches of the largest size."""

TIER = "batch"


class SeenResults:
    """Results that have rows already: a file may be downloaded again and again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def new(self, items: list[Reading]) -> list[Reading]:
        """Those that were not seen before. One without an id cannot be told and is new."""
        fresh = []
        for item in items:
            if item.response_id is not None:
                if item.response_id in self._seen:
                    continue
                self._seen[item.response_id] = None
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
            fresh.append(item)
        return fresh


def split(call: Call) -> Iterator[Call]:
    """The calls in a finished download of batch results."""
    for number, item in enumerate(call.end.items):
        failed = item.error is not None
        yield Call(
            start=msgspec.structs.replace(
                call.start,
                call_id=derived_call_id(call.start.call_id, number),
                span_id=derived_span_id(call.start.trace_id, call.start.span_id, str(number)),
            ),
            end=msgspec.structs.replace(
                call.end,
                outcome="error" if failed else "complete",
                error=item.error,
                # The download's own status and bytes say nothing of this result.
                status_code=None,
                stream=False,
                first_content_ns=None,
                reading=_at_batch_tier(item),
                items=[],
            ),
            request=RequestFacts(),
        )


def derived_call_id(call_id: str, number: int) -> str:
    """A UUIDv7 of the same time as ``call_id``, the same for the same number."""
    parent = uuid.UUID(call_id)
    digest = hashlib.blake2b(f"{call_id}/{number}".encode(), digest_size=16).digest()
    value = (parent.int >> 80 << 80) | (int.from_bytes(digest) & ((1 << 80) - 1))
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def _at_batch_tier(item: Reading) -> Reading:
    parts = tuple(
        part if part.service_tier else msgspec.structs.replace(part, service_tier=TIER)
        for part in item.parts
    )
    return msgspec.structs.replace(item, parts=parts)
