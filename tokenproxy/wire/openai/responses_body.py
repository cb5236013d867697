"""The Responses API's answers that are one document: responses, compactions, token counts.

A response may be polled while it is made; a compaction (``response.compaction``)
has usage of its own and no status.
"""

from __future__ import annotations

from tokenproxy.wire import notes
from tokenproxy.wire.framing.document import WholeBodyParser
from tokenproxy.wire.openai.errors import ERROR_LIMIT
from tokenproxy.wire.openai.responses_reading import ResponseReading
from tokenproxy.wire.openai.responses_shapes import RESPONSE
from tokenproxy.wire.usage import Reading


class ResponseParser(WholeBodyParser):
    """Reads a response that came whole."""

    def __init__(self, response: ResponseReading) -> None:
        super().__init__(response.reading)
        self._response = response

    def _read(self, body: bytes) -> None:
        response = RESPONSE.decode(body)
        if response is not None:
            self._response.whole(response)
        elif body:
            self._say(notes.BODY_UNREADABLE)


class CountParser(WholeBodyParser):
    """Reads a token count. It is free, and no usage: only whether it came whole matters."""

    def __init__(self, reading: Reading | None = None) -> None:
        super().__init__(reading, ERROR_LIMIT)

    def _read(self, body: bytes) -> None:
        if RESPONSE.decode(body) is not None:
            self.reading.ended = True
        elif body:
            self._say(notes.BODY_UNREADABLE)
