"""Anthropic's responses that are one document: messages, token counts, errors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.reading import MessageReading
from tokenproxy.wire.anthropic.shapes import MESSAGE, Message
from tokenproxy.wire.framing.document import ERROR_LIMIT, WholeBodyParser
from tokenproxy.wire.framing.jsonbody import LIMIT
from tokenproxy.wire.usage import Reading

ERROR_OF_STATUS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Error type by status, for bodies that do not tell ("Errors"; a 413 comes from the CDN)."""


class _BodyParser(WholeBodyParser):
    """Collects a body and decodes it when it is over."""

    def __init__(self, reading: Reading | None, limit: int = LIMIT) -> None:
        super().__init__(reading, limit)
        self._message = MessageReading(self.reading)

    def _read(self, body: bytes) -> None:
        self._take(MESSAGE.decode(body), body)

    @abstractmethod
    def _take(self, message: Message | None, body: bytes) -> None:
        """Settle the reading by the decoded body; ``message`` is None if it is no JSON object."""

    def _say(self, note: str) -> None:
        self._message.say(note)

    def _say_unreadable(self, body: bytes) -> None:
        if body:
            self._say(notes.BODY_UNREADABLE)


class MessageParser(_BodyParser):
    """Reads a message that came whole."""

    def __init__(self, reading: Reading | None = None) -> None:
        super().__init__(reading)

    def _take(self, message: Message | None, body: bytes) -> None:
        if message is None:
            self._say_unreadable(body)
        elif message.type == "error" or (message.error is not None and message.usage is None):
            self.reading.ended = True
            self._message.fail(message.error, "api_error")
        else:
            self._message.whole(message)


class CountParser(_BodyParser):
    """Reads a token count. It is free, and no usage: only whether it came whole matters."""

    def __init__(self, reading: Reading | None = None) -> None:
        super().__init__(reading, ERROR_LIMIT)

    def _take(self, message: Message | None, body: bytes) -> None:
        if message is None:
            self._say_unreadable(body)
        else:
            self.reading.ended = True


class ErrorParser(_BodyParser):
    """Reads the body of a response of status 400 or higher, JSON or not."""

    def __init__(self, status: int, reading: Reading | None = None) -> None:
        super().__init__(reading, ERROR_LIMIT)
        self._otherwise = ERROR_OF_STATUS.get(status, f"http_{status}")
        self.reading.error = self._otherwise

    def _take(self, message: Message | None, body: bytes) -> None:
        if message is None:
            self._say_unreadable(body)
            return
        self.reading.ended = True
        self._message.fail(message.error, self._otherwise)
