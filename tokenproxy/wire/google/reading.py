"""What one answer of generateContent says, gathered chunk by chunk into a ``Reading``.

The rules (API reference, "GenerateContentResponse"):

* A stream has no event for its end. It is over in order when every candidate's
  last chunk had a ``finishReason``, or the prompt was blocked
  (``promptFeedback.blockReason``: usage, but no candidates), and its framing
  closed whole.
* ``responseId`` and ``modelVersion`` stand in every chunk; Code Assist has a
  ``traceId`` in the first's place.
* Searches are told by the queries that the model made. From Gemini 3 on each
  distinct, not empty query is billed; before, a prompt that was searched for is
  billed once, however many queries it took ("Grounding with Google Search",
  "Pricing"). The count here is that of distinct queries; which of the two rules
  holds is a matter of the model's price. A prompt that is grounded with Google
  Maps is billed once.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.google.errors import fail
from tokenproxy.wire.google.meter import Meter
from tokenproxy.wire.google.shapes import Candidate, Chunk, FunctionCall, Grounding
from tokenproxy.wire.google.usage import GENERATE, Names
from tokenproxy.wire.usage import Reading, ToolUse
from tokenproxy.wire.words import word

WEB_SEARCH = "web_search_requests"
IMAGE_SEARCH = "image_search_requests"
GOOGLE_MAPS = "google_maps_requests"

_MAX_CANDIDATES = 128
_MAX_QUERIES = 1024
_MAX_TOOL_USES = 1024


class ContentReading:
    """Gathers one response into ``reading``.

    Args:
        reading: filled in place.
        service_tier: the tier, where a header tells it; a body's word is stronger.
        names: how the API calls its counts.
        streamed: chunks will be many, each with usage: it is news, and is added up, when
            it has grown much, and at the end.
    """

    def __init__(
        self,
        reading: Reading,
        service_tier: str | None = None,
        names: Names = GENERATE,
        *,
        streamed: bool = False,
    ) -> None:
        self.reading = reading
        self._streamed = streamed
        self._service_tier = service_tier
        self._meter = Meter(reading, names)
        self._finished: dict[int, bool] = {}
        """By candidate: whether its latest chunk told why it stops."""
        self._blocked = False
        self._searched: dict[str, set[int]] = {WEB_SEARCH: set(), IMAGE_SEARCH: set()}
        """Hashes of the distinct queries."""
        self._maps = False

    @property
    def finished(self) -> bool:
        """Whether the chunks so far are an answer that is over."""
        return self._blocked or (bool(self._finished) and all(self._finished.values()))

    def take(self, chunk: Chunk) -> bool:
        """Take a chunk or a whole response. True if model, id or usage changed."""
        before = self.reading.model, self.reading.response_id
        self.reading.model = word(chunk.model_version) or self.reading.model
        self.reading.response_id = word(chunk.response_id) or self.reading.response_id
        for candidate in (chunk.candidates or [])[:_MAX_CANDIDATES]:
            self._take_candidate(candidate)
        feedback = chunk.prompt_feedback
        reason = word(feedback.block_reason) if feedback is not None else None
        if reason is not None and not self._finished:
            self._blocked = True
            self.reading.stop_reason = reason
        changed = chunk.usage_metadata is not None and self._meter.take(chunk.usage_metadata)
        if chunk.error is not None:
            fail(self.reading, chunk.error)
        news = before != (self.reading.model, self.reading.response_id)
        if changed and (not self._streamed or self._meter.is_news() or reason or self.finished):
            news = True
        if news or any(each.grounding_metadata for each in chunk.candidates or ()):
            self.settle()
        return news

    def end(self) -> None:
        """The response is over as its protocol ends."""
        self.reading.ended = True
        self.settle()
        if not self.reading.parts and self.reading.error is None:
            say(self.reading, notes.USAGE_ABSENT)

    def add_tool_uses(self, calls: Iterable[FunctionCall]) -> None:
        """Take calls of functions."""
        for call in calls:
            add_tool_use(self.reading, call.id, call.name)

    def settle(self) -> None:
        """Bring ``reading`` up to date with what was gathered."""
        self._meter.settle(self._server_tools(), self._service_tier)

    def _take_candidate(self, candidate: Candidate) -> None:
        reason = word(candidate.finish_reason)
        if candidate.index in self._finished or len(self._finished) < _MAX_CANDIDATES:
            self._finished[candidate.index] = reason is not None
        if reason is not None:
            self.reading.stop_reason = reason
        if candidate.content is not None and candidate.content.parts:
            self.reading.content_started = True
            calls = [part.function_call for part in candidate.content.parts]
            self.add_tool_uses(call for call in calls if call is not None)
        if candidate.grounding_metadata is not None:
            self._take_grounding(candidate.grounding_metadata)

    def _take_grounding(self, grounding: Grounding) -> None:
        _add(self._searched[WEB_SEARCH], grounding.web_search_queries or [])
        _add(self._searched[IMAGE_SEARCH], grounding.image_search_queries or [])
        mapped = any(source.maps is not None for source in grounding.grounding_chunks or [])
        self._maps = self._maps or mapped or bool(grounding.google_maps_widget_context_token)

    def _server_tools(self) -> dict[str, int]:
        used = {tool: len(queries) for tool, queries in self._searched.items() if queries}
        if self._maps:
            used[GOOGLE_MAPS] = 1
        return used


def add_tool_use(reading: Reading, identity: str | None, name: str | None) -> None:
    """Add a tool call, once, if it can be told from others: older models send no id."""
    identity, name = word(identity), word(name)
    if identity is None or name is None or len(reading.tool_uses) >= _MAX_TOOL_USES:
        return
    use = ToolUse(identity, name)
    if use not in reading.tool_uses:
        reading.tool_uses = (*reading.tool_uses, use)


def _add(known: set[int], queries: Iterable[object]) -> None:
    """Add what distinguishes queries from one another; empty ones are not searched for."""
    for query in queries:
        if isinstance(query, str) and query.strip() and len(known) < _MAX_QUERIES:
            known.add(hash(query))
