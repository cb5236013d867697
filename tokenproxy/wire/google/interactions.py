"""Google's Interactions API: an answer whole, streamed, or looked at later.

``interactions_shapes``   which fields are read
``interactions_reading``  what an interaction says, and by which rules
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.google import headers as google_headers
from tokenproxy.wire.google.errors import fail, read_error
from tokenproxy.wire.google.interactions_reading import InteractionReading
from tokenproxy.wire.google.interactions_shapes import EVENT, INTERACTION, REQUEST, STEP
from tokenproxy.wire.google.parsers import open_error
from tokenproxy.wire.google.request import GenerationConfig, model_name, with_settings
from tokenproxy.wire.lenient import array_items
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolResult
from tokenproxy.wire.words import word


class InteractionEventsParser(EventStreamParser):
    """Reads a streamed interaction."""

    def __init__(self, reading: Reading, service_tier: str | None = None) -> None:
        super().__init__(reading)
        self._interaction = InteractionReading(reading, service_tier)

    def _end(self) -> None:
        """The last event was taken."""
        if self.reading.ended and not self.reading.parts and self.reading.error is None:
            say(self.reading, notes.USAGE_ABSENT)

    def _take(self, event: Event) -> bool:
        data = (event.data or b"").strip()
        if data in (b"", b"[DONE]"):
            return False
        content = EVENT.decode(data)
        if content is None:
            if not event.torn:
                say(self.reading, notes.EVENT_UNREADABLE)
            return False
        content.event_type = content.event_type or event.name.decode(errors="replace")
        return self._interaction.event(content)


class GoogleInteractions:
    """``/interactions``."""

    name = "google.interactions"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        request = REQUEST.decode(body)
        if request is None:
            return RequestFacts(malformed=True)
        asked = bytes(request.input)
        facts = RequestFacts(
            model=model_name(request.model) or model_name(request.agent),
            stream=request.stream,
            background=request.background or False,
            offers_tools=any(tool.type == "function" for tool in request.tools or []),
            tool_results=_tool_results(asked),
            prompt_digest=prompt_digest(asked),
        )
        config = request.generation_config
        if config is None:
            return facts
        return with_settings(facts, GenerationConfig(*msgspec.structs.astuple(config)))

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return google_headers.read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return open_error(head.status)
        served = google_headers.service_tier(head.headers)
        return SniffingParser(
            stream=partial(InteractionEventsParser, service_tier=served),
            document=lambda reading: DocumentParser(
                partial(_read_document, reading, served), reading
            ),
            declared_stream=head.media_type == "text/event-stream",
        )


def _read_document(reading: Reading, service_tier: str | None, body: bytes) -> bool:
    interaction = INTERACTION.decode(body)
    if interaction is None:
        return False
    if interaction.id is None and interaction.error is not None:
        found = read_error(body)
        fail(reading, found.error if found is not None else None)
        reading.ended = True
    else:
        InteractionReading(reading, service_tier).whole(interaction)
    return True


def _tool_results(asked: bytes) -> tuple[ToolResult, ...]:
    """Results behind the last thing that the model said, if the input has the whole story."""
    found: list[ToolResult] = []
    items = [asked] if asked.startswith(b"{") else array_items(asked) or []
    for raw in reversed(items):
        step = STEP.decode(raw)
        if step is None or step.type in ("function_call", "model_output"):
            break
        identity = word(step.call_id)
        if step.type == "function_result" and identity is not None:
            found.insert(0, ToolResult(identity, is_error=step.is_error or False))
    return tuple(found)


INTERACTIONS: Dialect = GoogleInteractions()
"""Stateless, so one is enough."""
