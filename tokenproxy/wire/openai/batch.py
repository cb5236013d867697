"""Results of OpenAI's batches: a file of JSON lines, each an answer to one request.

``{"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}``
(SDK, ``batch``). The body is what the endpoint that the batch asked would have
answered, and is read by that endpoint's dialect; its own ``object`` tells which.
Everything is billed at the batch tier. Failures are results without usage, known
by the line's own id.

The same path downloads every other file. Lines that are no results make no
items, and a file that does not even begin like JSON is passed over unread. A
file may be downloaded again: whoever counts must go by ``response_id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.ndjson import LineReader
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.chat import CHAT
from tokenproxy.wire.openai.embeddings import EMBEDDINGS
from tokenproxy.wire.openai.errors import IN_STREAM, ErrorParser, error_word, is_error
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.openai.images import IMAGES
from tokenproxy.wire.openai.responses import RESPONSES
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts
from tokenproxy.wire.words import word

TIER: Final = "batch"

_DIALECTS: Final[Mapping[str | None, tuple[Dialect, str]]] = {
    "response": (RESPONSES, "responses"),
    "list": (EMBEDDINGS, "embeddings"),
    "text_completion": (CHAT, "text_completion"),
    None: (IMAGES, "image_generation"),
}
"""``object`` of an answer -> who reads it, and as what. Others are chat completions."""

_MARK: Final = b'"custom_id"'
"""A line without it is no result."""
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"


class Answer(msgspec.Struct):
    """``response`` of a line."""

    status_code: int | None = None
    body: msgspec.Raw = msgspec.Raw()


class Line(msgspec.Struct):
    """A line of results."""

    id: str | None = None
    custom_id: str | None = None
    response: Answer | None = None
    error: msgspec.Raw = msgspec.Raw()


class Kind(msgspec.Struct):
    """What an answer is."""

    object: str | None = None


_LINE: Final = Lenient(Line)
_KIND: Final = Lenient(Kind)


class BatchParser:
    """Reads a file that may hold results. Its own ``reading`` tells only how the download ended."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._lines = LineReader()
        self._items: list[Reading] = []
        self._begun = False
        self._foreign = False
        """It is no JSON: nothing of it is kept."""
        self._cut = False
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. False: what changes is among the items, not in ``reading``."""
        if not self._begun and (head := data.lstrip(_BLANK)):
            self._begun = True
            self._foreign = not head.startswith(b"{")
        if not self._foreign:
            for line in self._lines.feed(data):
                self._take(line)
        return False

    def close(self) -> None:
        """The download is over. It ended well unless its last result was cut."""
        if self._closed:
            return
        self._closed = True
        for line in self._lines.close():
            self._take(line)
        if self._lines.oversized:
            say(self.reading, notes.EVENT_TOO_LARGE)
        self.reading.ended = not self._cut

    def take_items(self) -> list[Reading]:
        """Hand over the results read since the last time."""
        items, self._items = self._items, []
        return items

    def _take(self, data: bytes) -> None:
        self._cut = False
        if _MARK not in data:
            return
        line = _LINE.decode(data.removeprefix(b"\xef\xbb\xbf"))
        if line is None:
            self._cut = True
            say(self.reading, notes.EVENT_UNREADABLE)
        elif line.custom_id is not None and (line.response or is_error(line.error)):
            self._items.append(_item(line))


def _item(line: Line) -> Reading:
    if line.response is None:
        return _failed(line, error_word(line.error, IN_STREAM).word)
    status = line.response.status_code or 200
    body = bytes(line.response.body)
    kind = _KIND.decode(body) or Kind()
    dialect, operation = _DIALECTS.get(kind.object, (CHAT, "chat"))
    parser = dialect.open_response(
        Head(status=status, content_type="application/json", operation=operation)
    )
    parser.feed(body)
    parser.close()
    reading = parser.reading
    if reading.error is not None and reading.response_id is None:
        return _failed(line, reading.error, reading.notes)
    reading.response_id = reading.response_id or word(line.id)
    reading.parts = tuple(
        msgspec.structs.replace(part, service_tier=TIER) for part in reading.parts
    )
    return reading


def _failed(line: Line, error: str, said: tuple[str, ...] = ()) -> Reading:
    return Reading(response_id=word(line.id), error=error, ended=True, notes=said)


class OpenAIBatch:
    """``/v1/files/{id}/content``."""

    name = "openai.batch"

    def read_request(self, body: bytes) -> RequestFacts:  # noqa: ARG002 - a download asks nothing
        """A download has no body."""
        return RequestFacts()

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        return ErrorParser(head.status) if head.failed else BatchParser()


BATCH: Final[Dialect] = OpenAIBatch()
"""Stateless, so one is enough."""
