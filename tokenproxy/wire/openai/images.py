"""OpenAI's images: generations, edits, variations.

Source: SDK, ``images_response``, ``image_gen_completed_event``. The output is
image tokens unless the details split it; input may be images too. ``svg_usage``
bills the model that wrote a drawing. A stream's ``*.completed`` event has the
usage of its image; pictures in the making (``*.partial_image``) are passed over.
Models before GPT Image state no usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.document import WholeBodyParser
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.errors import ErrorParser, is_error
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.openai.media import MediaReading, kind_of, read_request
from tokenproxy.wire.openai.responses_usage import image_model_bill, svg_bill
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts

_PARTIAL: Final = (b"image_generation.partial_image", b"image_edit.partial_image")
_COMPLETED: Final = frozenset({b"image_generation.completed", b"image_edit.completed"})


class Answer(msgspec.Struct):
    """A whole answer, or data of an event."""

    usage: dict[str, Any] | None = None
    svg_usage: dict[str, Any] | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: str | int | None = None


_ANSWER: Final = Lenient(Answer)


def _take(media: MediaReading, answer: Answer) -> None:
    media.reading.ended = True
    if answer.usage is not None:
        media.keep(answer.usage)
        media.add(image_model_bill(answer.usage))
    if answer.svg_usage is not None:
        media.keep({"svg_usage": answer.svg_usage})
        media.add(svg_bill(answer.svg_usage))
    if not media.reading.parts:
        media.say(notes.USAGE_ABSENT)


class ImagesParser(WholeBodyParser):
    """Reads images that came whole."""

    def _read(self, body: bytes) -> None:
        media = MediaReading(self.reading)
        answer = _ANSWER.decode(body)
        if answer is None:
            if body:
                media.say(notes.BODY_UNREADABLE)
        elif is_error(answer.error) and answer.usage is None:
            self.reading.ended = True
            media.fail(answer.error)
        else:
            _take(media, answer)


class ImageStreamParser(EventStreamParser):
    """Reads images that are streamed."""

    def __init__(self, reading: Reading | None = None) -> None:
        media = MediaReading(reading)
        super().__init__(media.reading, _PARTIAL)
        self._media = media

    def _take(self, event: Event) -> bool:
        name = kind_of(event)
        if name.startswith(b"image_"):
            self.reading.content_started = True
        if name not in _COMPLETED and name != b"error":
            return False
        answer = None if event.data is None else _ANSWER.decode(event.data)
        if answer is None:
            if event.torn:
                return False
            if event.data is not None:
                self._media.say(notes.EVENT_UNREADABLE)
            answer = Answer()
        if name == b"error":
            self._media.fail(answer.error, answer.code)
        else:
            _take(self._media, answer)
        return True


class OpenAIImages:
    """``/v1/images/...``."""

    name = "openai.images"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return ErrorParser(head.status)
        return SniffingParser(
            stream=ImageStreamParser,
            document=ImagesParser,
            declared_stream=head.media_type == "text/event-stream",
        )


IMAGES: Final[Dialect] = OpenAIImages()
"""Stateless, so one is enough."""
