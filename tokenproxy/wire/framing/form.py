"""Big forms (``multipart/form-data``), reduced while they pass: bounded memory, the short fields.

The rules:

* A form begins with its delimiter, a line of ``--`` and whatever its sender chose (RFC 2046).
* A part longer than ``LONGEST``, its head included, is left out: a file. Everything
  else stays, byte for byte.
* The result depends on the bytes only, never on the chunks they came in.
* A reduced form larger than the limit is given up, and so is a beginning that is
  no delimiter.
"""

from __future__ import annotations

LIMIT = 1024 * 1024
"""Largest reduced form, bytes."""

LONGEST = 4096
"""Longest part that is kept, bytes."""

_LONGEST_DELIMITER = 256

BEGINNING = b"--"
"""No JSON begins so."""


class FormPruner:
    """Reduces one form."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.too_large = False
        """The reduced form exceeds the limit; nothing of it is kept."""
        self._limit = limit
        self._reduced = bytearray()
        self._mark = b""
        """What ends a part: its line end and the delimiter. Empty before that is known."""
        self._rest = b""
        """The end of what came, which may be the beginning of a mark."""
        self._part = bytearray()
        self._file = False
        """The part is too long to stay."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.too_large:
            return
        data = self._rest + chunk
        if not self._mark:
            delimiter, line_end, _ = data.partition(b"\r\n")
            if len(delimiter) > _LONGEST_DELIMITER:
                self._give_up()
                return
            if not line_end:
                self._rest = data
                return
            self._mark = b"\r\n" + delimiter
            data = data[len(delimiter) :]
        start = 0
        while (end := data.find(self._mark, start)) >= 0:
            self._keep(data[start:end])
            self._finish(b"\r\n")
            start = end + len(self._mark)
        certain = max(start, len(data) - len(self._mark) + 1)
        self._keep(data[start:certain])
        self._rest = data[certain:]

    def take(self) -> bytes:
        """The reduced form so far, which is then forgotten; empty if it was too large."""
        self._keep(self._rest)
        self._finish(b"")
        reduced, self._reduced = bytes(self._reduced), bytearray()
        self._rest = b""
        return b"" if self.too_large else reduced

    def _keep(self, piece: bytes) -> None:
        self._file = self._file or len(self._part) + len(piece) > LONGEST
        if self._file:
            self._part.clear()
        else:
            self._part += piece

    def _finish(self, line_end: bytes) -> None:
        """The part is over, by a line end before the next delimiter or because the form is."""
        if not self._file:
            self._reduced += self._mark[2:] + self._part + line_end
        self._part.clear()
        self._file = False
        if len(self._reduced) > self._limit:
            self._give_up()

    def _give_up(self) -> None:
        self.too_large = True
        self._reduced.clear()
        self._rest = b""
