r"""What looks like a credential: it has the shape of a known maker's key, or a telling name.

The rules:

* A shape begins where no word goes on. In a body that is also behind ``\n``, ``\u000a`` and
  ``%20``, which end in letters and digits.
* A regular expression does not let other threads run before it has done with its text, and what
  waits meanwhile are the bytes of calls. So a text is looked at in windows, each reaching into the
  next one, and every repetition is bounded or taken whole: the time grows with the text, whatever
  is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

type Span = tuple[int, int]
"""Where it begins and ends, bytes."""

_NAMES: Final = rb"""
    (?:api|access|subscription)[_-]?key(?:[_-]?id)? | secret(?:[_-]?(?:access[_-]?)?key)?
  | password | passwd | passphrase | authorization
  | (?:access|refresh|auth|session|id|security)[_-]?token
  | client[_-]?secret | private[_-]?key | x-(?:amz|goog)-signature | (?:set-)?cookie
"""

_START: Final = rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"

_SHAPE: Final = re.compile(
    _START
    + rb"""(?:
      (?:sk|rk|pk)-[A-Za-z0-9_-]{0,64}\*{3,}[A-Za-z0-9_*-]*     # as an error says it, half hidden
    | (?:sk|rk|pk)-[A-Za-z0-9_-]{16,}                 # OpenAI, Anthropic, OpenRouter, Stripe
    | (?:gsk|xai|hf|r8|pplx|nvapi)[_-][A-Za-z0-9_-]{16,}
    | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9._-]{16,}        # Google
    | (?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{16,}                     # AWS
    | gh[oprsu]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
    | xox[abeoprs]-[A-Za-z0-9-]{10,}                            # Slack
    | eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]+    # JSON Web Tokens
    )
    | (?<=://)[^/\s:@"']{1,256}:[^/\s:@"']{1,256}(?=@)          # user:password in a URL
    """,
    re.VERBOSE,
)
_NAMED: Final = re.compile(
    rb"""
    (?:"""
    + _NAMES
    + rb""") (?:\\*["']|%22)? \s{0,16} (?:[:=]|%3[AaDd]) \s{0,16}
    (?: (\\*["']) (?![\s,:}\]]) ((?:(?!\1)(?:\\.|.)){8,4096})  # in quotes: up to their end
      | (?:%22)?(?:(?:bearer|basic)(?:\s{1,16}|%20))? ((?:[^\s"'\\,;&}]|\\/){8,}) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""``"api_key": "…"``, ``PASSWORD=…``, JSON in JSON included. A quote that JSON goes on behind
is the end of a string that ends in the name."""
_BEARER: Final = re.compile(
    rb"bearer(?:\s{1,16}|%20)((?=[A-Za-z._~+/=-]{0,256}[0-9])[A-Za-z0-9._~+/=-]{16,})",
    re.IGNORECASE,
)
"""A word without digits is one: a bearer of responsibilities."""

_FIELD: Final = re.compile(rb'name="?([^"\r\n;]{1,128})')
_TELLING: Final = re.compile(_NAMES, re.VERBOSE | re.IGNORECASE)
_BELOW: Final = re.compile(
    rb"[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,4}\r?\n([^\r\n]{8,65536})"
)
"""From a field's name in a form to its value, which stands below."""

_PEM: Final = re.compile(rb"-----BEGIN[ A-Z]{0,40}PRIVATE KEY-----")
_PEM_END: Final = b"PRIVATE KEY-----"
_LONGEST_PEM: Final = 64 * 1024

_WINDOW: Final = 16 * 1024
_OVERLAP: Final = 4 * 1024
_LONGEST: Final = 16 * 1024

_LOOKED_FOR: Final = (
    (
        _SHAPE,
        (b"sk-", b"rk-", b"pk-", b"gsk", b"xai", b"hf", b"r8", b"pplx", b"nvapi", b"aiza", b"ya29",
         b"akia", b"asia", b"absk", b"gh", b"github_pat_", b"glpat-", b"xox", b"eyj", b"://"),
        (0,),
    ),
    (
        _NAMED,
        (b"key", b"secret", b"passw", b"passphrase", b"authorization", b"token", b"signature",
         b"cookie"),
        (2, 3),
    ),
    (_BEARER, (b"bearer",), (1,)),
)  # fmt: skip
"""Patterns, one of which words a window must have in lower case, and which group it is."""


def look_alikes(text: bytes) -> Iterator[Span]:
    """Where they stand; spans may overlap."""
    for begin in range(0, len(text), _WINDOW):
        end = min(begin + _WINDOW + _OVERLAP, len(text))
        words = text[begin:end].lower()
        for pattern, hints, groups in _LOOKED_FOR:
            if any(hint in words for hint in hints):
                for found in _matches(pattern, text, begin, end):
                    group = next(group for group in groups if found[group] is not None)
                    yield found.span(group)
    yield from _keys(text)
    if b"form-data" in text:
        yield from _fields(text)


def _matches(
    pattern: re.Pattern[bytes], text: bytes, begin: int, end: int
) -> Iterator[re.Match[bytes]]:
    for found in pattern.finditer(text, begin, end):
        if found.end() == end < len(text):  # it may go on
            yield pattern.match(text, found.start(), end + _LONGEST) or found
        else:
            yield found


def _keys(text: bytes) -> Iterator[Span]:
    at = 0
    while (found := _PEM.search(text, at)) is not None:
        longest = found.end() + _LONGEST_PEM
        end = text.find(_PEM_END, found.end(), longest)
        at = min(longest, len(text)) if end < 0 else end + len(_PEM_END)
        yield found.start(), at


def _fields(text: bytes) -> Iterator[Span]:
    for name in _FIELD.finditer(text):
        if _TELLING.search(name[1]):
            value = _BELOW.match(text, name.end())
            if value is not None:
                yield value.span(1)


def unescaped(text: bytes) -> bytes:
    r"""The text with those letters plain that JSON may write as ``\u0073``, and means the same."""
    first, *rest = text.split(b"\\u00")
    out = [first]
    for part in rest:
        letter = _LETTERS.get(part[:2].lower())
        if letter is None:
            out.append(b"\\u00" + part)
        else:
            if out[-1].endswith(b"\\"):  # JSON in JSON
                out[-1] = out[-1].rstrip(b"\\")
            out.append(letter + part[2:])
    return b"".join(out)


_LETTERS: Final = {
    b"%02x" % code: bytes([code]) for code in range(0x20, 0x7F) if bytes([code]) not in b'"\\'
}
