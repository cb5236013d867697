"""What one response of the Responses API says, gathered into a ``Reading``.

The same gathering serves a whole body, a stream and the messages of a WebSocket.
Usage comes with the end and only then, so it is final or there is none. Beside
the model's own usage a response may bill searches and images that tools of the
provider's made; they are ``responses_usage``'s.

A response that is still ``queued`` or ``in_progress`` in a whole body goes on in
the background, as does one whose stream is cut: its usage comes when it is
looked at later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import keep, say
from tokenproxy.wire.openai import responses_usage as extras
from tokenproxy.wire.openai.accent import Cost, no_cost
from tokenproxy.wire.openai.errors import (
    IN_STREAM,
    ErrorFields,
    ErrorWord,
    error_word,
    is_error,
    word_of,
)
from tokenproxy.wire.openai.fields import RESPONSES_FIELDS, Fields
from tokenproxy.wire.openai.responses_items import FILE_SEARCH, IMAGE, SEARCH, tool_use
from tokenproxy.wire.openai.responses_shapes import Event, Item, Response
from tokenproxy.wire.openai.usage import Bill, bill
from tokenproxy.wire.usage import Completeness, Reading, UsagePart
from tokenproxy.wire.words import word


class Accent(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider's Responses API differs from OpenAI's."""

    fields: Fields = RESPONSES_FIELDS
    cost: Callable[[Mapping[str, Any]], Cost] = no_cost


OPENAI: Final = Accent()

_PENDING: Final = frozenset({"queued", "in_progress"})
DONE: Final = "response.done"
ENDS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    DONE: "completed",
}
"""Events that end a response, and the status that they stand for. The last is what Codex's
backend ends with on a WebSocket; its response states its own status."""

_MAX_ITEMS: Final = 4096
"""Items of one response that are remembered; an agent's have a few."""


class ResponseReading:
    """Gathers one response into ``reading``."""

    def __init__(self, reading: Reading | None = None, accent: Accent = OPENAI) -> None:
        self.reading = reading if reading is not None else Reading()
        self._accent = accent
        self._background = False
        self._items: dict[str, Item] = {}
        """Those that ask for a tool or cost extra, by what tells them apart."""

    def event(self, kind: str, event: Event) -> bool:
        """Take an event of a stream by its type. True if model, id or usage changed."""
        response = event.response
        if kind in ENDS:
            response = response or Response()
            stated = response.status if kind == DONE else None
            self._end(response, stated or ENDS[kind])
            return True
        if kind == "error":
            self._fail(word_of(event.error, ErrorFields(code=event.code), IN_STREAM))
            return True
        if event.item is not None:
            self._item(event.item)
        return response is not None and self._identify(response)

    def whole(self, response: Response) -> None:
        """Take a response that came whole."""
        if response.status in _PENDING:
            self._identify(response)
            self.reading.deferred = self.reading.ended = True
        else:
            self._end(response, response.status or "completed", say_status=bool(response.status))

    def cut(self) -> None:
        """No more events come."""
        if self._background and not self.reading.ended:
            self.reading.deferred = True

    def say(self, note: str) -> None:
        """Add a note, once."""
        say(self.reading, note)

    def _identify(self, response: Response) -> bool:
        before = self.reading.response_id, self.reading.model
        self._background = self._background or bool(response.background)
        self.reading.response_id = word(response.id) or self.reading.response_id
        self.reading.model = word(response.model) or self.reading.model
        return before != (self.reading.response_id, self.reading.model)

    def _item(self, item: Item) -> None:
        use = tool_use(item)
        key = use.id if use is not None else word(item.id) or f"{item.type}/{len(self._items)}"
        if key in self._items or len(self._items) >= _MAX_ITEMS:
            return
        if use is not None:
            self._items[key] = item
            self.reading.tool_uses = (*self.reading.tool_uses, use)
        elif item.type in {SEARCH, FILE_SEARCH, IMAGE}:
            self._items[key] = item

    def _end(self, response: Response, status: str, *, say_status: bool = True) -> None:
        self._identify(response)
        for item in response.output or []:
            self._item(item)
        self.reading.ended = True
        if say_status:
            reason = response.incomplete_details and response.incomplete_details.reason
            self.reading.stop_reason = (status == "incomplete" and word(reason)) or word(status)
        if is_error(response.error):
            self._fail(error_word(response.error, IN_STREAM))
        elif status == "failed" and self.reading.error is None:
            self.reading.error = IN_STREAM
        # A second end that states no usage takes none back.
        if response.usage is not None or not self.reading.parts:
            self._bill(response)
        whole = status in {"completed", "incomplete"} and self.reading.error is None
        if self.reading.completeness == "none" and whole:
            self.say(notes.USAGE_ABSENT)

    def _fail(self, error: ErrorWord) -> None:
        self.reading.error = error.word
        for note in error.notes():
            self.say(note)

    def _bill(self, response: Response) -> None:
        usage = response.usage
        drawings = [item.svg_usage for item in self._items.values() if item.svg_usage]
        self.reading.usage.clear()
        for evidence in (
            usage or {},
            {"tool_usage": response.tool_usage} if response.tool_usage else {},
            *({"svg_usage": drawing} for drawing in drawings),
        ):
            if evidence:
                keep(self.reading, evidence)
        main = bill(usage or {}, self._accent.fields, service_tier=word(response.service_tier))
        main = main._replace(part=self._with_tools(main.part, response.tool_usage))
        images = extras.image_bill(response.tool_usage, response.tools or [])
        bills = [main, *([] if images is None else [images]), *map(extras.svg_bill, drawings)]
        self.reading.parts = tuple(each.part for each in bills if each.part is not None)
        for note in (note for each in bills for note in each.notes):
            self.say(note)
        self.reading.completeness = self._completeness(main.part, bills)
        if self._has(IMAGE) and images is None and not drawings:
            self.say(notes.detailed(notes.SERVER_TOOL_UNCOUNTED, "image_generation"))
            if self.reading.parts:
                self.reading.completeness = "partial"
        cost = self._accent.cost(usage or {})
        self.reading.provider_cost_usd = cost.usd
        for note in cost.notes:
            self.say(note)

    def _with_tools(
        self, part: UsagePart | None, tool_usage: Mapping[str, Any] | None
    ) -> UsagePart | None:
        """The model's own part with the requests that tools of the provider's made."""
        found: dict[str, int] = {}
        web = extras.searches(tool_usage)
        if web is not None:
            found[extras.WEB_SEARCHES] = web
        elif self._has(SEARCH):
            self.say(notes.detailed(notes.SERVER_TOOL_UNCOUNTED, "web_search"))
        files = sum(item.type == FILE_SEARCH for item in self._items.values())
        if files:
            found[extras.FILE_SEARCHES] = files
        if part is None or not found:
            return part
        return msgspec.structs.replace(part, server_tool_use={**found, **part.server_tool_use})

    def _completeness(self, main: UsagePart | None, bills: Iterable[Bill]) -> Completeness:
        if not self.reading.parts:
            return "none"
        whole = main is not None and None not in (main.uncached_input_tokens, main.output_tokens)
        return "final" if whole and all(each.balanced for each in bills) else "partial"

    def _has(self, kind: str) -> bool:
        return any(item.type == kind and item.status != "failed" for item in self._items.values())
