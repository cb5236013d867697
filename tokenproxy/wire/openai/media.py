"""What the image and audio dialects share: requests that may be forms, usage that comes once.

Neither names a model or an id in its answers: the request's model is the call's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tokenproxy.wire.bookkeeping import keep, say
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.errors import IN_STREAM, ErrorFields, is_error, word_of
from tokenproxy.wire.openai.form import form_fields
from tokenproxy.wire.openai.responses_stream import type_of
from tokenproxy.wire.openai.usage import Bill
from tokenproxy.wire.usage import Reading, RequestFacts
from tokenproxy.wire.words import word

_MAX_PARTS = 128
"""Images of one answer that are billed one by one."""


class Request(msgspec.Struct):
    """A request for images, speech or a transcript, if it is JSON."""

    model: str | None = None
    stream: bool | None = None
    stream_format: str | None = None
    """``sse`` asks for speech as a stream."""
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()


_REQUEST = Lenient(Request)


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded request body: JSON, or a form."""
    form = form_fields(body, ("model", "stream"))
    if form is not None:
        stream = {"true": True, "false": False}.get(form.get("stream", "").strip().lower())
        return RequestFacts(model=word(form.get("model")), stream=stream)
    request = _REQUEST.decode(body)
    if request is None:
        return RequestFacts(malformed=True)
    return RequestFacts(
        model=word(request.model),
        stream=request.stream if request.stream_format is None else request.stream_format == "sse",
        prompt_digest=prompt_digest(bytes(request.prompt) + bytes(request.input)),
    )


class Failed(msgspec.Struct):
    """Data of an event that may be an error without a name."""

    error: msgspec.Raw = msgspec.Raw()


_FAILED = Lenient(Failed)


def kind_of(event: Event) -> bytes:
    """The type of a stream's event, by its name or its data.

    An error may come with neither (SDK, ``_streaming.py``: ``error`` in the data of any event).
    """
    name = event.name or (b"" if event.data is None else type_of(event.data))
    if name or event.data is None:
        return name
    found = _FAILED.decode(event.data)
    return b"error" if found is not None and is_error(found.error) else b""


class MediaReading:
    """Gathers what one answer bills."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading if reading is not None else Reading()
        self._balanced = True

    def say(self, note: str) -> None:
        """Add a note, once."""
        say(self.reading, note)

    def keep(self, usage: Mapping[str, Any]) -> None:
        """Keep a usage object as evidence."""
        keep(self.reading, dict(usage))

    def add(self, bill: Bill) -> None:
        """Add a part to what is billed."""
        for note in bill.notes:
            self.say(note)
        if bill.part is None:
            return
        if len(self.reading.parts) >= _MAX_PARTS:
            self._balanced = False
            self.reading.completeness = "partial"
            return
        stated = None not in (bill.part.uncached_input_tokens, bill.part.output_tokens)
        self._balanced = self._balanced and stated and bill.balanced
        self.reading.parts = (*self.reading.parts, bill.part)
        self.reading.completeness = "final" if self._balanced else "partial"

    def restart(self) -> None:
        """Forget what was taken: what comes next is the total."""
        self._balanced = True
        self.reading.completeness = "none"
        self.reading.parts = ()
        self.reading.usage.clear()

    def fail(self, error: msgspec.Raw, code: str | int | None = None) -> None:
        """Take an error: of a stream, or of a whole body."""
        found = word_of(error, ErrorFields(code=code), IN_STREAM)
        self.reading.error = found.word
        for note in found.notes():
            self.say(note)
