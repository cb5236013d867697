"""The credentials that a call brings with it, in the forms that they take in a body.

They are what its headers and its query carry under a name of the trade: plain, in JSON,
percent-encoded, in hex, and in base64 at any place of a longer text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote

SHORTEST: Final = 8
"""Characters of a credential; what is shorter is a word that may stand anywhere."""

_TRADE: Final = re.compile(
    r"(?:^|[-_])(?:key|sig)(?:$|[-_])|apikey|token|secret|auth(?!or(?!iz))|cookie|passw|credential"
    r"|signature"
)
"""In a name of a header, of a query's field or of a subprotocol: a credential comes with it, or
what does no harm if taken for one. An authority and an author are none."""


def brought(headers: Mapping[str, str], path: str) -> Iterator[str]:
    """The credentials that a request brings.

    Args:
        headers: its names in lower case.
        path: with its query.
    """
    for name, value in headers.items():
        if name == "sec-websocket-protocol":
            yield from _in_subprotocols(value)
        elif _TRADE.search(name):
            yield from _in_header(name, value.strip())
    for name, value in parse_qsl(path.partition("?")[2]):
        if _TRADE.search(name.lower()):
            yield value


def _in_subprotocols(value: str) -> Iterator[str]:
    """``openai-insecure-api-key.KEY``, ``base64url.bearer.authorization.k8s.io.TOKEN``."""
    for one in map(str.strip, value.split(",")):
        if _TRADE.search(one):
            yield one.partition(".")[2]
            yield one.rpartition(".")[2]


def _in_header(name: str, value: str) -> Iterator[str]:
    if "cookie" in name:
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
        return
    yield value
    scheme, _, rest = value.partition(" ")
    yield rest.strip()
    yield from re.findall(r"=([^\s,;]{16,})", rest)  # SigV4's parts
    if scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield user_and_password.partition(":")[2]


def forms(credential: str) -> Iterator[bytes]:
    """As it may stand in a body."""
    if len(credential) < SHORTEST:
        return
    plain = credential.encode("utf-8", "surrogateescape")
    yield plain
    yield plain.replace(b"/", b"\\/")
    for ascii_only in (False, True):
        in_json = json.dumps(credential, ensure_ascii=ascii_only)[1:-1]
        yield in_json.encode("utf-8", "surrogateescape")
    percent = quote(plain, safe="")
    yield percent.encode()
    yield re.sub("%..", lambda found: found[0].lower(), percent).encode()
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for before in range(3):
        # Characters that carry bits of what stands before or behind are another's too.
        coded = base64.b64encode(bytes(before) + plain)
        whole = coded[(0, 2, 3)[before] : (before + len(plain)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))
