"""What one interaction says, gathered from its document or its events into a ``Reading``.

The rules (SDK, ``_gaos/types/interactions``; "Interactions API"):

* Usage has names of its own and the arithmetic of generateContent. A stream
  tells it in ``interaction.completed``, and may tell it so far with a step's end,
  a change of status and in the ``metadata`` of any event. ``step_usage`` is that
  of one step and part of the rest: it is not read.
* A stream ends with ``interaction.completed`` (whatever became of it), then
  ``[DONE]``; or with an ``error`` event.
* An answer in the background is ``queued`` or ``in_progress`` and has no usage
  yet: that comes with a later look at it.
* One that has to be continued (``requires_continuation``) is billed by itself,
  as what continues it is: each reads its input anew.
* ``grounding_tool_count`` counts the queries of each of Google's tools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.google.interactions_shapes import (
    Interaction,
    InteractionError,
    InteractionEvent,
    Step,
)
from tokenproxy.wire.google.meter import Meter
from tokenproxy.wire.google.reading import GOOGLE_MAPS, WEB_SEARCH, add_tool_use
from tokenproxy.wire.google.request import model_name
from tokenproxy.wire.google.usage import Names, tier
from tokenproxy.wire.usage import Reading
from tokenproxy.wire.words import count, word

NAMES = Names(
    prompt="total_input_tokens",
    cached="total_cached_tokens",
    tools="total_tool_use_tokens",
    output=("total_output_tokens",),
    thoughts="total_thought_tokens",
    total="total_tokens",
    prompt_details="input_tokens_by_modality",
    cached_details="cached_tokens_by_modality",
    tools_details="tool_use_tokens_by_modality",
    output_details=("output_tokens_by_modality",),
    tokens="tokens",
    tier=(),
)
"""The Interactions API's words for its counts."""

_TOOLS: Mapping[str, str] = {"google_search": WEB_SEARCH, "google_maps": GOOGLE_MAPS}
_COMPLETED = ("interaction.completed", "interaction.complete")
_CONTENT = ("step.delta", "content.delta")
_UNDER_WAY = ("queued", "in_progress")
_FAILED = "failed"
_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_TOOLS = 32


class InteractionReading:
    """Gathers one interaction into ``reading``."""

    def __init__(self, reading: Reading, service_tier: str | None = None) -> None:
        self.reading = reading
        self._service_tier = service_tier
        self._meter = Meter(reading, NAMES)
        self._grounding: dict[str, int] = {}

    def whole(self, interaction: Interaction) -> None:
        """Take an interaction that came as a document."""
        self._take(interaction)
        self.reading.ended = True
        self.reading.deferred = interaction.status in _UNDER_WAY
        self.settle()
        silent = self.reading.error is None and not self.reading.deferred
        if silent and not self.reading.parts:
            say(self.reading, notes.USAGE_ABSENT)

    def event(self, event: InteractionEvent) -> bool:
        """Take an event of a stream. True if model, id or usage changed."""
        before = self.reading.model, self.reading.response_id
        changed = False
        if event.interaction is not None:
            changed = self._take(event.interaction)
        self.reading.response_id = word(event.interaction_id) or self.reading.response_id
        self._take_status(event.status)
        for usage in (event.usage, event.metadata.total_usage if event.metadata else None):
            changed = self._take_usage(usage) or changed
        for step in (event.step, event.content, event.delta):
            self._take_step(step)
        if event.event_type in _CONTENT:
            self.reading.content_started = True
        elif event.event_type in _COMPLETED:
            self.reading.ended = True
        elif event.event_type == "error":
            self.fail(event.error)
        self.settle()
        return changed or before != (self.reading.model, self.reading.response_id)

    def fail(self, error: InteractionError | None) -> None:
        """Take an error."""
        code = word(error.code) if error is not None else None
        kind = (code or "").rstrip("/").rpartition("/")[2].lower()
        self.reading.error = kind if _KIND.fullmatch(kind) else _FAILED

    def settle(self) -> None:
        """Bring ``reading`` up to date with what was gathered."""
        self._meter.settle(self._grounding, self._service_tier)

    def _take(self, interaction: Interaction) -> bool:
        self.reading.response_id = word(interaction.id) or self.reading.response_id
        served = model_name(interaction.model) or model_name(interaction.agent)
        self.reading.model = served or self.reading.model
        self._service_tier = tier(interaction.service_tier) or self._service_tier
        self._take_status(interaction.status)
        for step in [*(interaction.steps or []), *(interaction.outputs or [])]:
            self._take_step(step)
        if interaction.status == _FAILED or interaction.error is not None:
            self.fail(interaction.error or next(iter(interaction.errors or []), None))
        return self._take_usage(interaction.usage)

    def _take_status(self, status: str | None) -> None:
        if status is not None and status not in _UNDER_WAY:
            self.reading.stop_reason = word(status) or self.reading.stop_reason

    def _take_step(self, step: Step | None) -> None:
        if step is not None and step.type == "function_call":
            add_tool_use(self.reading, step.id, step.name)

    def _take_usage(self, usage: dict[str, Any] | None) -> bool:
        if usage is None:
            return False
        grounding = usage.get("grounding_tool_count")
        for item in grounding[:_MAX_TOOLS] if isinstance(grounding, list) else []:
            kind = item.get("type") if isinstance(item, dict) else None
            queries = count(item.get("count")) if isinstance(kind, str) else None
            if not queries or not isinstance(kind, str) or not _KIND.fullmatch(kind):
                continue
            tool = _TOOLS.get(kind, f"{kind}_requests")
            if tool in self._grounding or len(self._grounding) < _MAX_TOOLS:
                self._grounding[tool] = queries
        return self._meter.take(usage)
