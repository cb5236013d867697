"""The Responses API's event stream.

``response.created``, ``.queued`` and ``.in_progress`` bear a response without
usage; one of ``response.completed``, ``.incomplete`` and ``.failed`` ends the
stream with the whole response; ``error`` may come at any time. An event without a
name, or that a gateway calls ``message``, goes by the type in its data. Everything
between tells of the output: nearly all of it are deltas and their sums
(``.done``), which are passed over by name. Of finished items the type and the
names are read, for the last event may leave the output out (Codex's backend
does).

The provider goes on with a response in the background when its stream is cut.
"""

from __future__ import annotations

import re
from typing import Final

from tokenproxy.wire import notes
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.openai.responses_reading import ResponseReading
from tokenproxy.wire.openai.responses_shapes import EVENT
from tokenproxy.wire.openai.responses_shapes import Event as Content

_DELTAS: Final = (
    "output_text", "refusal", "function_call_arguments", "custom_tool_call_input",
    "reasoning_text", "reasoning_summary_text", "mcp_call_arguments",
    "code_interpreter_call_code", "audio", "audio.transcript", "shell_call_command",
    "shell_call_output_content",
)  # fmt: skip

SKIPPED: Final = (
    *(f"response.{kind}.{end}".encode() for kind in _DELTAS for end in ("delta", "done")),
    b"response.content_part.added",
    b"response.content_part.done",
    b"response.reasoning_summary_part.added",
    b"response.reasoning_summary_part.done",
    b"response.output_text.annotation.added",
    b"response.image_generation_call.partial_image",
)
"""Events whose data is never looked at."""

READ: Final = frozenset(
    {
        b"response.created",
        b"response.queued",
        b"response.in_progress",
        b"response.output_item.done",
        b"response.completed",
        b"response.incomplete",
        b"response.failed",
        b"response.cancelled",
        b"response.done",
        b"error",
    }
)
"""Events whose data is."""

_NO_CONTENT: Final = re.compile(
    rb"response\.(created|queued|in_progress|completed|incomplete|failed|cancelled|done"
    rb"|steer\..*|compaction\..*)"
)
_TYPE_FIRST: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_.]{1,80})"')


def is_content(name: bytes) -> bool:
    """Whether an event tells that the model's output has begun."""
    return name.startswith(b"response.") and not _NO_CONTENT.fullmatch(name)


def type_of(data: bytes) -> bytes:
    """The type that an event's data states."""
    first = _TYPE_FIRST.match(data)
    if first is not None:
        return first[1]
    content = EVENT.decode(data)
    return (content.type or "").encode(errors="replace") if content is not None else b""


class StreamParser(EventStreamParser):
    """Reads a streamed response."""

    def __init__(self, response: ResponseReading) -> None:
        super().__init__(response.reading, SKIPPED)
        self._response = response

    def _say(self, note: str) -> None:
        """Add a note, once."""
        self._response.say(note)

    def _end(self) -> None:
        """The last event was taken."""
        self._response.cut()

    def _take(self, event: Event) -> bool:
        name = event.name
        if event.data is not None and not name.startswith(b"response.") and name != b"error":
            name = type_of(event.data)
        if is_content(name):
            self.reading.content_started = True
        if name not in READ:
            return False
        content = None if event.data is None else EVENT.decode(event.data)
        if content is None:
            if event.torn:
                return False
            if event.data is not None:
                self._response.say(notes.EVENT_UNREADABLE)
            # The name alone says that it ended or failed; what it says beside that is lost.
            content = Content()
        return self._response.event(name.decode(errors="replace"), content)
