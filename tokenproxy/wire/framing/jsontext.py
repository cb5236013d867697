"""Strings of JSON text, as bytes: what the framings that cut or reduce it have in common."""

from __future__ import annotations

import re

STRING_REST = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
"""Regular expression, with DOTALL, for what follows a string's opening quote, up to its end."""

_STRING_REST = re.compile(STRING_REST, re.DOTALL)

OPENERS = frozenset(b"[{")

NESTED = re.compile(
    rb"""
    (?: [^"\[\]{}]++
      | "STRING_REST"
      | [\[{] [^"\[\]{}]*+ (?: "STRING_REST" [^"\[\]{}]*+ )*+ [\]}]
    )*+
    """.replace(b"STRING_REST", STRING_REST),
    re.DOTALL | re.VERBOSE,
)
"""What changes no depth: plain bytes, whole strings, objects and arrays with none in them."""


def string_end(text: bytes, start: int) -> int:
    r"""Where a string ends whose inside begins, or goes on, at ``start``.

    Returns:
        The place of its closing quote. If the text ends before it, the text's length,
        or one more if the last byte is a backslash: then the next byte to come is escaped.
    """
    quote = text.find(b'"', start)
    if quote < 0:
        quote = len(text)
    if text.find(b"\\", start, quote) < 0:
        return quote
    end = match_end(_STRING_REST, text, start)
    return len(text) + 1 if text.startswith(b"\\", end) else end


def match_end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """Where a pattern's match that begins at ``start`` ends; ``start`` if there is none."""
    found = pattern.match(text, start)
    return found.end() if found is not None else start
