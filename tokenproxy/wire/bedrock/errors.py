"""Errors of AWS: before an answer, and in the middle of one.

The type stands in the header ``x-amzn-errortype`` (behind a colon follows
where it is documented) or in the body's ``__type`` (before a ``#`` its
namespace). In a stream the message's headers tell it. It is kept as AWS spells
it: ``ThrottlingException`` before the answer, ``throttlingException`` in it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tokenproxy.wire.dialect import Head
from tokenproxy.wire.framing.document import ERROR_LIMIT, DocumentParser
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.errors import status_word
from tokenproxy.wire.usage import Reading

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class _Error(msgspec.Struct):
    """An error's body."""

    type: str | None = msgspec.field(default=None, name="__type")
    code: str | None = None


_ERROR: Final = Lenient(_Error)


def error_word(text: str | None) -> str | None:
    """The error's type in a header or field, if it is a plain word there."""
    name = (text or "").rpartition("#")[2].partition(":")[0].strip()
    return name if _TYPE.fullmatch(name) else None


def open_error(head: Head) -> DocumentParser:
    """A parser for the body of an answer of status 400 or higher, JSON or not."""
    told = error_word(head.headers.get("x-amzn-errortype"))
    reading = Reading(error=told or status_word(head.status))

    def read(body: bytes) -> bool:
        error = _ERROR.decode(body)
        if error is None:
            return False
        reading.ended = True
        if told is None:
            found = error_word(error.type) or error_word(error.code)
            reading.error = found or reading.error
        return True

    return DocumentParser(read, reading, ERROR_LIMIT)
