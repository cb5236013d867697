"""Newline-delimited JSON, sans-IO: bytes in any chunking, whole lines out.

A line of more than 64 KiB is reduced while it comes (``prune``); one that exceeds
the limit all the same is passed over to its end and counted.
"""

from __future__ import annotations

from tokenproxy.wire.framing.jsonbody import LIMIT, RAW_LIMIT, JsonBody


class LineReader:
    """Cuts a body into lines at LF. Blank lines are left out; CR before LF is JSON whitespace.

    Args:
        limit: largest line that is kept, bytes; of a long one, once it is reduced.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        """Lines passed over because they exceeded the limit."""
        self._limit = limit
        self._small = min(RAW_LIMIT, limit)
        self._line = JsonBody(limit)
        self._begun = False
        """There is something of an unfinished line, or of one that is not small."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that they complete."""
        lines: list[bytes] = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            if self._begun or end - start > self._small:
                self._line.feed(chunk[start:end])
                self._finish(lines)
            elif line := chunk[start:end].strip():
                lines.append(line)
            start = end + 1
        if start < len(chunk):
            self._begun = True
            self._line.feed(chunk[start:])
        return lines

    def close(self) -> list[bytes]:
        """The body is over: its last line, if no LF ended it."""
        lines: list[bytes] = []
        self._finish(lines)
        return lines

    def _finish(self, lines: list[bytes]) -> None:
        line = self._line.take().strip()
        if self._line.too_large:
            self.oversized += 1
        elif line:
            lines.append(line)
        self._line = JsonBody(self._limit)
        self._begun = False
