"""OpenAI's audio: transcriptions, translations, speech.

Source: SDK, ``transcription``, ``transcription_text_done_event``,
``speech_create_params``.

* Usage of a transcription is ``{"type": "tokens", ...}`` or, of models that are
  billed by time, ``{"type": "duration", "seconds"}``: there are no tokens then, and
  the object is kept for whoever knows the price of a minute.
* Plain text, SRT and VTT have no place for usage, and neither has sound. Speech
  states it only as a stream (``stream_format: sse``). All of speech's output is audio.
* What is no text is passed over, not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.document import WholeBodyParser
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.errors import ErrorParser, is_error
from tokenproxy.wire.openai.fields import RESPONSES_FIELDS
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.openai.media import MediaReading, kind_of, read_request
from tokenproxy.wire.openai.usage import bill
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts

SPEECH: Final = "speech"

AUDIO_FIELDS: Final = msgspec.structs.replace(
    RESPONSES_FIELDS,
    cache_read=(("input_token_details", "cached_tokens"),),
    input_details="input_token_details",
    output_details="output_token_details",
)
"""Details are singular here."""

_DELTAS: Final = (b"transcript.text.delta", b"transcript.text.segment", b"speech.audio.delta")
_DONE: Final = frozenset({b"transcript.text.done", b"speech.audio.done"})


class Answer(msgspec.Struct):
    """A whole answer, or data of an event."""

    usage: dict[str, Any] | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: str | int | None = None


_ANSWER: Final = Lenient(Answer)


def take_usage(media: MediaReading, usage: Mapping[str, Any] | None, *, role: str = "main") -> None:
    """Take a transcription's usage, of either kind."""
    if usage is None:
        media.say(notes.USAGE_ABSENT)
        return
    media.keep(usage)
    if usage.get("type") == "duration" or ("seconds" in usage and "input_tokens" not in usage):
        media.say(notes.BILLED_BY_DURATION)
        return
    media.add(bill(usage, AUDIO_FIELDS, role=role))
    if not media.reading.parts:
        media.say(notes.USAGE_ABSENT)


def _take(media: MediaReading, answer: Answer, operation: str) -> None:
    media.reading.ended = True
    usage = answer.usage
    if operation == SPEECH and usage is not None and "output_token_details" not in usage:
        media.keep(usage)
        spoken = {**usage, "output_token_details": {"audio_tokens": usage.get("output_tokens")}}
        media.add(bill(spoken, AUDIO_FIELDS))
    else:
        take_usage(media, usage)


class AudioParser(WholeBodyParser):
    """Reads a transcript that came whole, as JSON."""

    def __init__(self, operation: str, reading: Reading | None = None) -> None:
        super().__init__(reading)
        self._operation = operation

    def _read(self, body: bytes) -> None:
        answer = _ANSWER.decode(body)
        media = MediaReading(self.reading)
        if answer is None:
            if body:
                media.say(notes.BODY_UNREADABLE)
        elif is_error(answer.error) and answer.usage is None:
            self.reading.ended = True
            media.fail(answer.error)
        else:
            _take(media, answer, self._operation)


class AudioStreamParser(EventStreamParser):
    """Reads a transcript or speech that is streamed."""

    def __init__(self, operation: str, reading: Reading | None = None) -> None:
        media = MediaReading(reading)
        super().__init__(media.reading, _DELTAS)
        self._operation = operation
        self._media = media

    def _take(self, event: Event) -> bool:
        name = kind_of(event)
        if name.startswith((b"transcript.", b"speech.")):
            self.reading.content_started = True
        if name not in _DONE and name != b"error":
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
        elif answer.usage is not None or not self.reading.parts:
            self._media.restart()
            _take(self._media, answer, self._operation)
        return True


class OpaqueParser:
    """Passes over an answer that cannot state its usage: sound, or plain text."""

    def __init__(self) -> None:
        self.reading = Reading()

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; that there are any is all that is kept."""
        self.reading.content_started = self.reading.content_started or bool(data)
        return False

    def close(self) -> None:
        """The body is over; nothing in it could tell that it was cut."""
        self.reading.ended = True
        say(self.reading, notes.USAGE_NOT_OFFERED)

    def take_items(self) -> list[Reading]:
        """One answer: none."""
        return []


class OpenAIAudio:
    """``/v1/audio/...``."""

    name = "openai.audio"

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
        stream = head.media_type == "text/event-stream"
        if not stream and head.media_type not in {"", "application/json"}:
            return OpaqueParser()
        return SniffingParser(
            stream=partial(AudioStreamParser, head.operation),
            document=partial(AudioParser, head.operation),
            declared_stream=stream,
        )


AUDIO: Final[Dialect] = OpenAIAudio()
"""Stateless, so one is enough."""
