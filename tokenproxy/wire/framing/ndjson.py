"""Newline-delimited JSON, sans-IO: bytes in any chunking, whole lines out."""

from __future__ import annotations

LIMIT = 8 * 1024 * 1024
"""Largest line that is kept, bytes."""


class LineReader:
    """Cuts a body into lines at LF. Blank lines are left out; CR before LF is JSON whitespace."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        """Lines passed over because they exceeded the limit."""
        self._limit = limit
        self._line = bytearray()
        self._too_large = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that they complete."""
        lines: list[bytes] = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._add(chunk[start:end])
            self._finish(lines)
            start = end + 1
        self._add(chunk[start:])
        return lines

    def close(self) -> list[bytes]:
        """The body is over: its last line, if no LF ended it."""
        lines: list[bytes] = []
        self._finish(lines)
        return lines

    def _add(self, piece: bytes) -> None:
        self._too_large = self._too_large or len(self._line) + len(piece) > self._limit
        if self._too_large:
            self._line.clear()
        else:
            self._line += piece

    def _finish(self, lines: list[bytes]) -> None:
        if self._too_large:
            self.oversized += 1
        elif line := bytes(self._line).strip():
            lines.append(line)
        self._line.clear()
        self._too_large = False
