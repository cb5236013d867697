"""Fields of a form (``multipart/form-data``), as uploads of images and audio are sent.

Only short values of named fields are taken; files are passed over. Nothing else
is needed of a form, so nothing else of RFC 7578 is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_HEADER_LIMIT = 4096
"""Longest head of a part that is looked at, bytes."""
_VALUE_LIMIT = 1024

_NAME = re.compile(
    rb'content-disposition:[^\r\n]*;\s*name="([^"\r\n]{1,100})"(\s*;)?', re.IGNORECASE
)


def form_fields(body: bytes, wanted: Collection[str]) -> dict[str, str] | None:
    """The wanted fields of a form that have short values, or None if the body is no form."""
    delimiter = body[:_HEADER_LIMIT].partition(b"\r\n")[0]
    if not delimiter.startswith(b"--") or delimiter == b"--":
        return None
    found: dict[str, str] = {}
    start = len(delimiter) + 2
    while 0 <= start < len(body):
        end = body.find(b"\r\n" + delimiter, start)
        _take(body, start, len(body) if end < 0 else end, wanted, found)
        start = -1 if end < 0 else end + len(delimiter) + 4
    return found


def _take(
    body: bytes, start: int, end: int, wanted: Collection[str], found: dict[str, str]
) -> None:
    """Take one part, if it is a wanted field."""
    head_end = body.find(b"\r\n\r\n", start, min(end, start + _HEADER_LIMIT))
    if head_end < 0 or end - head_end > _VALUE_LIMIT:
        return
    named = _NAME.search(body, start, head_end)
    name = named[1].decode(errors="replace") if named is not None else ""
    if named is not None and named[2] is None and name in wanted:
        found[name] = body[head_end + 4 : end].decode(errors="replace")
