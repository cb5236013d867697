"""Results of a batch: one download, many calls. And an earlier answer fetched: one call.

A message batch is asked for in one request and answered days later by a file
with one result a line. Each result was a model call and becomes a call and a
row of its own, with the download's times and request id. Its call_id follows
from the provider's id of the result: whoever downloads the file again, in whatever
run, makes the same rows again, and they count once. A result without an id (it
failed) takes its call_id from the download's, for a recovery after a crash.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

import msgspec

from tokenproxy.ids import DERIVED_VERSION, derived_span_id
from tokenproxy.record.call import Call
from tokenproxy.wire.usage import Reading, RequestFacts

TIER = "batch"


def split(call: Call) -> Iterator[Call]:
    """The calls in a finished download of batch results."""
    for number, item in enumerate(call.end.items):
        failed = item.error is not None
        batch = call.start.kind == "batch_results"
        yield Call(
            start=msgspec.structs.replace(
                call.start,
                call_id=(
                    result_call_id(call.start.provider, item.response_id)
                    if item.response_id
                    else derived_call_id(call.start.call_id, number)
                ),
                span_id=derived_span_id(call.start.trace_id, call.start.span_id, str(number)),
            ),
            end=msgspec.structs.replace(
                call.end,
                outcome="error" if failed else "complete",
                error=item.error,
                # A download's own status and bytes say nothing of a result in it.
                status_code=None if batch else call.end.status_code,
                stream=False if batch else call.end.stream,
                first_content_ns=None,
                reading=_at_batch_tier(item) if batch else item,
                items=[],
            ),
            request=RequestFacts(),
        )


def result_call_id(provider: str, response_id: str) -> str:
    """A UUID that follows from the provider's id of a result; nothing in it is a time."""
    words = f"{provider}\0{response_id}".encode(errors="replace")
    return _uuid(int.from_bytes(hashlib.blake2b(words, digest_size=16).digest()), DERIVED_VERSION)


def derived_call_id(call_id: str, number: int) -> str:
    """A UUIDv7 of the same time as ``call_id``, the same for the same number."""
    parent = uuid.UUID(call_id)
    digest = hashlib.blake2b(f"{call_id}/{number}".encode(), digest_size=16).digest()
    value = (parent.int >> 80 << 80) | (int.from_bytes(digest) & ((1 << 80) - 1))
    return _uuid(value, 7)


def _uuid(value: int, version: int) -> str:
    value = (value & ~(0xF << 76)) | (version << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def _at_batch_tier(item: Reading) -> Reading:
    parts = tuple(
        part if part.service_tier else msgspec.structs.replace(part, service_tier=TIER)
        for part in item.parts
    )
    return msgspec.structs.replace(item, parts=parts)
