"""What table and tree share: a console that is plain unless a person looks at it."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console

_UNBOUNDED = 100_000


def open_console(file: TextIO | None = None) -> Console:
    """A console on ``file`` (default stdout): colour and a width on a terminal only.

    Into a pipe or a file lines are as long as what they say: nothing is cut off or wrapped.
    """
    target = file or sys.stdout
    return Console(
        file=target,
        width=None if target.isatty() else _UNBOUNDED,
        highlight=False,
        markup=False,
        emoji=False,
    )


def printable(text: object) -> str:
    """Text from a ledger on one line and without power over the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def plain(text: str, encoding: str | None) -> str:
    """``text`` with what ``encoding`` cannot say replaced by what ASCII can."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        for sign, instead in _ASCII.items():
            text = text.replace(sign, instead)
        return text.encode("ascii", "replace").decode()
    return text


def shorten(text: str, width: int, cut: str = "…") -> str:
    """``text`` in ``width`` cells; the middle gives way, as names differ at both ends."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(cut)
    if room <= 0:
        return cut[: max(width, 0)]
    end = set_cell_size(text[::-1], room // 2)[::-1]
    return set_cell_size(text, room - room // 2) + cut + end


_ASCII = {
    "├─": "|-",
    "└─": "`-",
    "│": "|",
    "─": "-",
    "↻ ": "",
    "⇄ ": "",
    "✗": "x",
    "·": ",",
    "≥": ">=",
    "—": "-",
    "…": "...",
}
