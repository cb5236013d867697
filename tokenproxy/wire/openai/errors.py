"""OpenAI's errors: which word stands for one, however it is wrapped.

The envelope is ``{"error": {"message", "type", "param", "code"}}``, with an HTTP
status or as an event in mid-stream. Others wrap it otherwise:

* xAI: ``{"code": "...", "error": "a sentence"}``
* Mistral, vLLM: ``{"object": "error", "message", "type", "code"}``
* Google: ``[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]``
* OpenRouter: ``{"error": {"code": 502, "message", "metadata"}}``: the code is a status
* gateways: HTML, plain text, nothing at all

The word is the type; where the type says nothing (``tokens`` of a rate limit) or
is not there, the code; where that is a number, what the status means. Sentences
are never kept. A code that says more than the type is a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.framing.document import WholeBodyParser
from tokenproxy.wire.lenient import Lenient, array_items
from tokenproxy.wire.usage import Reading

ERROR_OF_STATUS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Error word by status, for errors that have none of their own."""

IN_STREAM = "server_error"
"""Word for an error in mid-stream that has none."""

ERROR_LIMIT = 1024 * 1024
"""Largest error body that is kept, bytes."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_DIGITS = re.compile(r"[1-9][0-9]{2}")
_SAYS_NOTHING = frozenset({"tokens", "requests", "error"})
"""Types that say less than their codes: what a rate limit limits, and that it is an error."""
_NO_WORDS = frozenset({"None", "null"})
"""LiteLLM's word for a type or a code that there is none of."""


class ErrorFields(msgspec.Struct):
    """The inside of an error, wherever it is found."""

    type: str | None = None
    code: str | int | None = None
    status: str | None = None


class Envelope(ErrorFields):
    """A body that may be an error, or may hold one."""

    error: msgspec.Raw = msgspec.Raw()


class ErrorWord(NamedTuple):
    """What is kept of an error."""

    word: str
    code: str | None = None
    """The finer code, where there is one beside the word."""

    def notes(self) -> tuple[str, ...]:
        """The finer code, as a note."""
        return (notes.detailed(notes.ERROR_CODE, self.code),) if self.code is not None else ()


_FIELDS = Lenient(ErrorFields)
_ENVELOPE = Lenient(Envelope)


def status_word(status: int) -> str:
    """The word for an HTTP status."""
    return ERROR_OF_STATUS.get(status, f"http_{status}")


def is_error(error: bytes | msgspec.Raw) -> bool:
    """Whether the value of a field ``error`` tells of one."""
    return bytes(error).strip() not in {b"", b"null", b"false", b'""', b"{}"}


def error_word(error: bytes | msgspec.Raw, otherwise: str) -> ErrorWord:
    """The word for an error.

    Args:
        error: the value of the field ``error``: an object, or a sentence.
        otherwise: the word if it has none.
    """
    fields = _FIELDS.decode(error)
    return _word(fields, otherwise) if fields is not None else ErrorWord(otherwise)


def word_of(error: bytes | msgspec.Raw, outer: ErrorFields, otherwise: str) -> ErrorWord:
    """The word for an error, whose envelope may itself hold what the error should.

    Args:
        error: the value of the field ``error``; empty if there is none.
        outer: what stands beside it.
        otherwise: the word if neither has one.
    """
    inner = _FIELDS.decode(error) if is_error(error) else None
    return _word(inner if inner is not None else outer, otherwise)


def read_envelope(body: bytes) -> Envelope | None:
    """The error envelope that a body is, or that is the first item of one; None if it is none."""
    envelope = _ENVELOPE.decode(body)
    if envelope is None:
        items = array_items(body)
        envelope = _ENVELOPE.decode(items[0]) if items else None
    return envelope


class ErrorParser(WholeBodyParser):
    """Reads the body of a response of status 400 or higher, JSON or not."""

    def __init__(self, status: int, reading: Reading | None = None) -> None:
        super().__init__(reading, ERROR_LIMIT)
        self._otherwise = status_word(status)
        self.reading.error = self._otherwise

    def _read(self, body: bytes) -> None:
        envelope = read_envelope(body)
        if envelope is None:
            if body:
                self._say(notes.BODY_UNREADABLE)
            return
        self.reading.ended = True
        found = word_of(envelope.error, envelope, self._otherwise)
        self.reading.error = found.word
        for note in found.notes():
            self._say(note)


def _word(fields: ErrorFields, otherwise: str) -> ErrorWord:
    kind, status = _plain(fields.type), _plain(fields.status)
    code, meaning = _code(fields.code)
    if kind is None or kind.lower() in _SAYS_NOTHING:
        return ErrorWord(code or status or meaning or kind or otherwise)
    return ErrorWord(kind, code if code != kind else None)


def _plain(value: str | None) -> str | None:
    if value is None or value in _NO_WORDS:
        return None
    return value if _WORD.fullmatch(value) else None


def _code(value: str | int | None) -> tuple[str | None, str | None]:
    """A code that is a word, and the meaning of one that is an HTTP status."""
    text = str(value) if value is not None else ""
    if _DIGITS.fullmatch(text):
        return None, ERROR_OF_STATUS.get(int(text))
    return _plain(text), None
