"""Secrets and words that must be found nowhere, and the search for them."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

import zstandard

KINDS = (
    "xapikey",
    "bearer",
    "basic",
    "cookie",
    "setcookie",
    "googkey",
    "querykey",
    "sigv4id",
    "sigv4signature",
    "sigv4token",
    "subprotocol",
    "proxypassword",
    "basepassword",
    "basepath",
    "otlpheader",
    "routepassword",
    "prompt",
    "answer",
    "toolinput",
    "thinking",
    "unknownheader",
)
CANARIES = {kind: f"CnRy{number:02d}{kind}Zq" for number, kind in enumerate(KINDS)}
"""Kind -> what is planted. One is never part of another."""

_MARK = b"cnry"
"""What all of them begin with."""
_RUNS = {
    "base64": re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}"),
    "hex": re.compile(rb"(?:[0-9A-Fa-f]{2}){8,}"),
}
_DEEPEST = 3


def found_in(data: bytes) -> set[str]:
    """The kinds of which something is in ``data``, in whatever form."""
    return set(_found_in(data))


@lru_cache(maxsize=10_000)
def _found_in(data: bytes) -> frozenset[str]:
    found: set[str] = set()
    for view in _views(data, 0):
        lower = view.lower()
        if _MARK in lower:
            found |= {kind for kind, canary in CANARIES.items() if canary.lower().encode() in lower}
    return frozenset(found)


def _views(data: bytes, depth: int) -> Iterator[bytes]:
    """``data``, and what it is when it is read as something else."""
    yield data
    if b"\0" in data:
        yield data.replace(b"\0", b"")  # UTF-16
    if depth >= _DEEPEST:
        return
    inner: list[bytes] = [data[::-1]]
    if b"%" in data:
        inner.append(unquote_to_bytes(data))
    if b"\\u" in data:
        inner.append(re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), data))
    inner += _packed(data)
    for run in _RUNS["hex"].findall(data):
        inner.append(binascii.unhexlify(run))
    for run in _RUNS["base64"].findall(data):
        plain = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):  # it may begin anywhere in a longer run
            part = plain[start:]
            part = part[:-1] if len(part) % 4 == 1 else part
            with suppress(binascii.Error):
                inner.append(base64.b64decode(part + b"=" * (-len(part) % 4)))
    for view in inner:
        if view != data:
            yield from _views(view, depth + 1 if len(view) > 24 else _DEEPEST)


def _packed(data: bytes) -> Iterator[bytes]:
    """What compressed data at any place in ``data`` holds, as far as it goes."""
    for at in _places(data, b"\x1f\x8b"):
        with suppress(OSError, EOFError, zlib.error):
            yield zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data[at:])
    for at in _places(data, b"\x28\xb5\x2f\xfd"):
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
    for start in (b"\x78\x01", b"\x78\x9c", b"\x78\xda"):
        for at in _places(data, start):
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(data[at:])


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def hits(root: Path) -> dict[str, set[str]]:
    """File below ``root`` -> kinds found in it; a file's name counts too."""
    found = {}
    for path in root.rglob("*"):
        kinds = found_in(str(path.relative_to(root)).encode())
        if path.is_file():
            kinds |= found_in(path.read_bytes())
        if kinds:
            found[str(path)] = kinds
    return found


def packed(canary: str) -> dict[str, bytes]:
    """A canary in every kind of container that the search knows."""
    text = canary.encode()
    line = b'{"a": "b", "key": "' + text + b'"}\n'
    return {
        "as it is": line,
        "another case": line.upper(),
        "backwards": line[::-1],
        "percent": b"".join(b"%%%02x" % byte for byte in line),
        "hex": b"id: " + line.hex().encode(),
        "base64": base64.b64encode(b"x:" + text),
        "base64 of URLs": b"a" + base64.urlsafe_b64encode(b"xy" + text) + b"/rest",
        "gzip": gzip.compress(line),
        "gzip inside": b"head" + gzip.compress(b"x" * 100 + line) + b"tail",
        "zlib": zlib.compress(line),
        "zstd": zstandard.compress(line),
        "utf-16": line.decode().encode("utf-16"),
        "escaped": ("".join(f"\\u{ord(c):04x}" for c in canary)).encode(),
        "gzip in base64": base64.b64encode(gzip.compress(line)),
        "half a gzip": gzip.compress(line + bytes(range(256)) * 40)[:-20],
    }
