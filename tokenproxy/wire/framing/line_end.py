"""Where the lines of an event stream end: with LF, CRLF or CR."""

from __future__ import annotations


def line_end(chunk: bytes, start: int, *, has_cr: bool) -> tuple[int, int]:
    """Where the line that begins at ``start`` ends and where the next one begins.

    Returns:
        (-1, -1) if the line goes on beyond the chunk. A next line that begins
        one past the chunk's length means that the chunk ended with CR.
    """
    newline = chunk.find(b"\n", start)
    if has_cr:
        cr = chunk.find(b"\r", start, newline if newline >= 0 else len(chunk))
        if cr >= 0:
            if cr + 1 == len(chunk):
                return cr, cr + 2
            return cr, cr + 1 + (chunk[cr + 1 : cr + 2] == b"\n")
    return newline, newline + 1
