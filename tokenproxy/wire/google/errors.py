"""Google's errors: ``google.rpc.Status`` in JSON.

The rules (API reference, "Errors"; AIP-193; the SDK's ``errors.py``):

* The body is ``{"error": {"code", "message", "status", "details"}}``, at times
  in an array of one. ``status`` names the kind (``RESOURCE_EXHAUSTED``), and in
  lower case is our word for it; without one it is the HTTP status.
* ``details`` may have an ``ErrorInfo`` with a finer ``reason`` and a
  ``RetryInfo`` with ``retryDelay`` (``"34.07s"``), which stands in no header.
"""

from __future__ import annotations

import re

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.lenient import Lenient, array_items
from tokenproxy.wire.usage import Reading

UNKNOWN = "unknown"
"""``google.rpc.Code`` of an error that says nothing of its kind."""

_STATUS = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_DELAY = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?s")
_HTTP = range(100, 600)
_MAX_DETAILS = 32


class Detail(msgspec.Struct, rename="camel"):
    """One of an error's details, whatever its type."""

    reason: str | None = None
    retry_delay: str | None = None


class Error(msgspec.Struct):
    """``error``, of a body or in the midst of a stream."""

    code: int | None = None
    status: str | None = None
    details: list[Detail] | None = None

    def word(self, http_status: int | None = None) -> str:
        """The kind of error, one plain word."""
        if self.status is not None and _STATUS.fullmatch(self.status):
            return self.status.lower()
        code = http_status if http_status is not None else self.code
        return f"http_{code}" if code in _HTTP else UNKNOWN

    def notes(self) -> list[str]:
        """What the details say: the finer reason, and how long to wait."""
        said: list[str] = []
        for detail in (self.details or [])[:_MAX_DETAILS]:
            if detail.reason is not None and _REASON.fullmatch(detail.reason):
                said.append(notes.detailed(notes.ERROR_CODE, detail.reason.lower()))
            if detail.retry_delay is not None and _DELAY.fullmatch(detail.retry_delay):
                said.append(notes.detailed(notes.RETRY_DELAY, detail.retry_delay))
        return said


class ErrorBody(msgspec.Struct):
    """The body around an error."""

    error: Error | None = None


_BODY = Lenient(ErrorBody)


def fail(reading: Reading, error: Error | None, http_status: int | None = None) -> None:
    """Say in a reading that its answer failed, and how."""
    error = error or Error()
    reading.error = error.word(http_status)
    for note in error.notes():
        say(reading, note)


def read_error(body: bytes) -> ErrorBody | None:
    """The body of a failed request, if it is JSON; an array stands for its first item."""
    items = array_items(body) if body.lstrip()[:1] == b"[" else None
    return _BODY.decode(items[0] if items else body)
