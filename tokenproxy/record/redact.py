"""Credentials taken out of what is kept of bodies.

Two ways, because neither is enough: the very credentials that came with the call's own
headers, wherever they stand; and whatever looks like a credential. A credential that a
model writes in several events of a stream is not found.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

MARK: Final = b"[redacted]"

_HEADERS: Final = (
    "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie",
    "x-amz-security-token", "x-auth-token", "cf-access-client-secret",
)  # fmt: skip
"""Request headers that carry credentials, for the providers of :mod:`tokenproxy.wire.providers`
and the gateways before them."""

_SHORTEST: Final = 8
"""Characters of a credential; what is shorter is a word that may stand anywhere."""

_SLICE: Final = 16 * 1024
_LONGEST_SLICE: Final = 256 * 1024
_BORDER: Final = re.compile(rb"[,\n]")

_SHAPES: Final = re.compile(
    rb"""
      \b(?:sk|rk|pk)-[A-Za-z0-9_-]{16,}                 # OpenAI, Anthropic, OpenRouter, Stripe
    | \b(?:gsk|xai|hf|r8|pplx|nvapi)[_-][A-Za-z0-9_-]{16,}
    | \bAIza[A-Za-z0-9_-]{30,} | \bya29\.[A-Za-z0-9._-]{16,}        # Google
    | \b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{16,}                       # AWS
    | \bgh[oprsu]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}                              # Slack
    | \beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]+    # JSON Web Tokens
    | (?<=://)[^/\s:@"']{1,256}:[^/\s:@"']{1,256}(?=@)              # user:password in a URL
    """,
    re.VERBOSE,
)
_PEM: Final = re.compile(
    rb"-----BEGIN[ A-Z]{0,40}PRIVATE KEY-----.*?(?:-----END[ A-Z]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_NAMED: Final = re.compile(
    rb"""
    ((?:api[_-]?key|secret(?:[_-]?(?:access[_-]?)?key)?|password|
        passwd|authorization|access[_-]?token|refresh[_-]?token|auth[_-]?token|client[_-]?secret|
        session[_-]?token|private[_-]?key)
      \\?["']? \s* [:=] \s* \\?["']? (?:(?:bearer|basic)\s+)?)
    ([^\s"'\\,;&}]{8,})
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""``"api_key": "…"``, ``PASSWORD=…``, JSON in JSON included. Every repetition is bounded or
taken whole: the time grows with the body, whatever is in it."""


class Redactor:
    """Takes credentials out of one call's bodies.

    Args:
        headers: the request's, names in lower case; its credentials are remembered.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        known = {form for value in _credentials(headers) for form in _forms(value)}
        # Longest first: one may be the beginning of another.
        self._own = sorted(known, key=len, reverse=True)

    def clean(self, body: bytes) -> bytes:
        """The body without them."""
        for own in self._own:
            body = body.replace(own, MARK)
        body = _PEM.sub(MARK, body)
        return b"".join(_NAMED.sub(rb"\1" + MARK, _SHAPES.sub(MARK, one)) for one in _slices(body))


def _slices(body: bytes) -> Iterator[bytes]:
    """The body in pieces that end where no credential goes on.

    A regular expression does not let other threads run before it has done with its text,
    and what waits meanwhile are the bytes of calls.
    """
    start = 0
    while start < len(body):
        end = start + _SLICE
        if end < len(body):
            end = max(body.rfind(b",", start, end), body.rfind(b"\n", start, end)) + 1
            if end <= start:
                border = _BORDER.search(body, start + _SLICE, start + _LONGEST_SLICE)
                end = border.end() if border else start + _LONGEST_SLICE
        yield body[start:end]
        start = end


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    for name in _HEADERS:
        value = headers.get(name, "").strip()
        if name == "cookie":
            yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
            continue
        yield value
        scheme, _, rest = value.partition(" ")
        yield rest.strip()
        if scheme.lower() == "basic":
            try:
                user_and_password = base64.b64decode(rest, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield user_and_password.partition(":")[2]


def _forms(credential: str) -> Iterator[bytes]:
    """As it stands in a body: plain, in JSON, in a form or URL."""
    if len(credential) < _SHORTEST:
        return
    plain = credential.encode("utf-8", "surrogateescape")
    yield plain
    yield plain.replace(b"/", b"\\/")
    yield quote(plain, safe="").encode()
