"""Converse: one language for every vendor's models, plain or as events.

A stream ends with ``messageStop``, which has the reason, and ``metadata``,
which has the usage. Input excludes cache reads and writes; writes by time to
live stand in ``cacheDetails`` alone. Reasoning is not told apart from output.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bedrock.counts import bill, speed_of, tier_of
from tokenproxy.wire.bedrock.errors import open_error
from tokenproxy.wire.bedrock.invoke import read_headers
from tokenproxy.wire.bedrock.models import model_of
from tokenproxy.wire.bedrock.request import read_request
from tokenproxy.wire.bedrock.shapes import CONVERSE as SHAPE
from tokenproxy.wire.bedrock.shapes import Converse
from tokenproxy.wire.bedrock.stream import MEDIA_TYPE, EventsParser, FirstByteParser
from tokenproxy.wire.bedrock.vendors import settle, tools_of
from tokenproxy.wire.bookkeeping import add_tool_uses, keep, say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.usage import Bill
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts
from tokenproxy.wire.words import word

_CONTENT = frozenset({"contentBlockDelta", "contentBlockStop"})
"""Events whose data is never looked at."""


class _Anything(msgspec.Struct):
    """An object."""


_ANYTHING = Lenient(_Anything)


class ConverseReading:
    """Gathers one answer into ``reading``."""

    def __init__(self, reading: Reading, head: Head) -> None:
        self._reading = reading
        self._head = head
        self._bill: Bill | None = None

    def take(self, answer: Converse) -> None:
        """Take an answer or the data of an event."""
        reading = self._reading
        reading.stop_reason = word(answer.stop_reason) or reading.stop_reason
        message = answer.output.message if answer.output is not None else None
        blocks = list(message.content or []) if message is not None else []
        if answer.start is not None:
            blocks.append(answer.start)
        add_tool_uses(reading, tools_of(blocks))
        self._take_model(answer)
        if answer.usage is not None:
            self._take_usage(answer, answer.usage)

    def end(self) -> None:
        """The answer is over, as it should be."""
        reading = self._reading
        reading.ended = True
        if self._bill is None or self._bill.part is None:
            say(reading, notes.USAGE_ABSENT)
        else:
            settle(reading, self._bill)

    def _take_model(self, answer: Converse) -> None:
        """The model of the path, or the one that a router chose."""
        router = answer.trace.prompt_router if answer.trace is not None else None
        routed = model_of(router.invoked_model_id) if router is not None else None
        self._reading.model = routed or self._reading.model or model_of(self._head.model)

    def _take_usage(self, answer: Converse, usage: dict[str, object]) -> None:
        reading = self._reading
        keep(reading, usage)
        tier = word(answer.service_tier.type) if answer.service_tier is not None else None
        latency = answer.performance_config.latency if answer.performance_config else None
        self._bill = bill(usage, tier=tier or tier_of(self._head.headers), speed=speed_of(latency))
        if self._bill.part is not None:
            reading.parts = (self._bill.part,)
            settle(reading, self._bill)


class ConverseParser(EventsParser):
    """Reads a streamed answer."""

    def __init__(self, reading: Reading, head: Head) -> None:
        super().__init__(reading)
        self._answer = ConverseReading(reading, head)

    def _event(self, name: str, payload: bytes) -> bool:
        if name in _CONTENT:
            self.reading.content_started = True
            return False
        answer = SHAPE.decode(payload)
        if answer is None:
            say(self.reading, notes.EVENT_UNREADABLE)
            return False
        self.reading.content_started = self.reading.content_started or name == "contentBlockStart"
        before = self.reading.model
        self._answer.take(answer)
        if name == "metadata":
            self._answer.end()
            return True
        return before != self.reading.model

    def _end(self) -> None:
        """What came before the end was taken as it came."""


class ConverseDialect:
    """``/model/{id}/converse``, ``converse-stream`` and ``count-tokens``."""

    name = "bedrock.converse"

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
        if head.operation == "count_tokens":
            return DocumentParser(lambda body: _read_count(body, reading), reading)
        return FirstByteParser(
            ConverseParser(reading, head),
            DocumentParser(lambda body: _read_document(body, reading, head), reading),
            declared_stream=head.media_type == MEDIA_TYPE,
        )


def _read_document(body: bytes, reading: Reading, head: Head) -> bool:
    answer = SHAPE.decode(body)
    if answer is None:
        return False
    whole = ConverseReading(reading, head)
    whole.take(answer)
    whole.end()
    return True


def _read_count(body: bytes, reading: Reading) -> bool:
    """A token count is free, and no usage: only whether it came whole matters."""
    reading.ended = _ANYTHING.decode(body) is not None
    return reading.ended


CONVERSE: Dialect = ConverseDialect()
"""Stateless, so one is enough."""
