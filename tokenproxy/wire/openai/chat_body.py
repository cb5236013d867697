"""A chat completion that came whole, as one JSON document."""

from __future__ import annotations

from tokenproxy.wire import notes
from tokenproxy.wire.framing.document import WholeBodyParser
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat_reading import ChatReading
from tokenproxy.wire.openai.errors import IN_STREAM, read_envelope, word_of
from tokenproxy.wire.usage import Reading


class ChatBodyParser(WholeBodyParser):
    """Reads a whole completion, or the error that came in its place under status 200.

    Args:
        accent: how the provider speaks.
        operation: as the route table has it.
        reading: filled in place; a new one if None.
    """

    def __init__(
        self, accent: Accent, operation: str = "chat", reading: Reading | None = None
    ) -> None:
        super().__init__(reading)
        self._accent = accent
        self._chat = ChatReading(self.reading, accent, operation)

    def _read(self, body: bytes) -> None:
        answer = self._accent.shape.decode(body)
        if answer is not None:
            self._chat.take(self._accent.piece(answer))
            self._chat.end()
            self._chat.close(orderly=True, absent=notes.USAGE_ABSENT)
            return
        listed = read_envelope(body)
        if listed is not None:
            self.reading.ended = True
            self._chat.fail(word_of(listed.error, listed, IN_STREAM))
        elif body:
            self._say(notes.BODY_UNREADABLE)

    def _say(self, note: str) -> None:
        self._chat.say(note)
