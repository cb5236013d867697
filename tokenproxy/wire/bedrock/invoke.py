"""InvokeModel: the vendor's own answer, plain or in the chunks of an event stream.

Anthropic's answers are read by Anthropic's dialect. AWS's counts, in the last
chunk of a stream, are a check on the answer's own, and stand in for them where a
stream ended without (a guardrail's answer, say).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.reading import MessageReading
from tokenproxy.wire.anthropic.shapes import MESSAGE
from tokenproxy.wire.anthropic.stream import StreamParser, type_of
from tokenproxy.wire.bedrock.counts import bill, tier_of
from tokenproxy.wire.bedrock.errors import open_error
from tokenproxy.wire.bedrock.models import served
from tokenproxy.wire.bedrock.request import read_request
from tokenproxy.wire.bedrock.shapes import ANSWER, KIND, PAYLOAD
from tokenproxy.wire.bedrock.stream import MEDIA_TYPE, EventsParser, FirstByteParser
from tokenproxy.wire.bedrock.vendors import VendorReading, check_metrics, settle
from tokenproxy.wire.bookkeeping import keep, say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.headers import retry_after_s
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts
from tokenproxy.wire.words import word

_ANTHROPIC = frozenset(
    {
        b"message_start",
        b"message_delta",
        b"message_stop",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
        b"ping",
        b"error",
    }
)
"""Types by which Anthropic's events are known."""


class ChunksParser(EventsParser):
    """Reads a streamed answer."""

    def __init__(self, reading: Reading, head: Head) -> None:
        super().__init__(reading)
        self._head = head
        self._anthropic: StreamParser | None = None
        self._vendor: VendorReading | None = None
        self._metrics: dict[str, Any] | None = None
        self._over = False
        """The last event of a vendor's stream came: it has metrics, Nova's ``metadata`` too."""
        self._unreadable = False

    def _event(self, name: str, payload: bytes) -> bool:
        if name != "chunk":
            return False
        chunk = PAYLOAD.decode(payload)
        if chunk is None or chunk.data is None:
            self._unreadable = True
            return False
        kind = type_of(chunk.data)
        # Anthropic's streams may have events of types that nobody knows yet.
        if self._vendor is None and (kind in _ANTHROPIC or self._anthropic is not None):
            changed = self._take_anthropic(kind, chunk.data)
        else:
            changed = self._take_vendor(chunk.data)
        self.reading.model = served(self._head.model, self.reading.model)
        return changed

    def _take_anthropic(self, kind: bytes, data: bytes) -> bool:
        if self._anthropic is None:
            self._anthropic = StreamParser(
                self.reading,
                first_party=self._head.first_party,
                service_tier=tier_of(self._head.headers),
            )
        changed = self._anthropic.take(kind, data)
        if kind == b"message_stop":
            stop = KIND.decode(data)
            self._metrics = stop.metrics if stop is not None else None
        return changed

    def _take_vendor(self, data: bytes) -> bool:
        answer = ANSWER.decode(data)
        if answer is None:
            self._unreadable = True
            return False
        if self._vendor is None:
            self._vendor = VendorReading(self.reading, self._head)
        changed = self._vendor.take(answer)
        self._metrics = answer.metrics or self._metrics
        self._over = self._over or answer.metrics is not None or answer.metadata is not None
        return changed

    def _end(self) -> None:
        if self._vendor is not None and self._over:
            self._vendor.end()
        if self._anthropic is not None:
            self._anthropic.close()
            self.reading.model = served(self._head.model, self.reading.model)
            if self._metrics is not None:
                keep(self.reading, self._metrics)
                self._use_metrics(self._metrics)
        # Only now: the dialects that read the answer rewrite its notes as they go.
        if self._unreadable:
            say(self.reading, notes.EVENT_UNREADABLE)

    def _use_metrics(self, metrics: dict[str, Any]) -> None:
        stand_in = bill(metrics, tier=tier_of(self._head.headers), speed=None)
        known = self.reading.completeness == "final" or len(self.reading.parts) > 1
        if known or not self.reading.ended or stand_in.part is None:
            check_metrics(self.reading, metrics)
        else:
            self.reading.parts = (stand_in.part,)
            settle(self.reading, stand_in)


class Invoke:
    """``/model/{id}/invoke`` and ``invoke-with-response-stream``."""

    name = "bedrock.invoke"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return read_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return open_error(head)
        reading = Reading()
        return FirstByteParser(
            ChunksParser(reading, head),
            DocumentParser(lambda body: _read_document(body, reading, head), reading),
            declared_stream=head.media_type == MEDIA_TYPE,
        )


def read_headers(headers: Mapping[str, str]) -> ResponseFacts:
    """Ids and limits, from response headers with lower-cased names."""
    return ResponseFacts(
        request_id=word(headers.get("x-amzn-requestid")), retry_after_s=retry_after_s(headers)
    )


def _read_document(body: bytes, reading: Reading, head: Head) -> bool:
    kind = KIND.decode(body)
    if kind is None:
        return False
    message = MESSAGE.decode(body) if kind.type == "message" else None
    if message is not None:
        MessageReading(reading, tier_of(head.headers), first_party=head.first_party).whole(message)
    else:
        answer = ANSWER.decode(body)
        if answer is None:
            return False
        vendor = VendorReading(reading, head)
        vendor.take(answer)
        vendor.end()
    reading.model = served(head.model, reading.model)
    return True


INVOKE: Dialect = Invoke()
"""Stateless, so one is enough."""
