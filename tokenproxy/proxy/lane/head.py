"""Heads of requests and responses, as far as an exchange needs to know them.

A request that is in any way unusual is none of ours (:meth:`RequestHead.read` returns
None): mitmproxy has an answer to it, and request smuggling lives in such corners
(RFC 9112, section 11.2). A response has to be taken as it comes.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

LONGEST = 64 * 1024
"""Bytes of a head; the servers we know of give up at 8 to 32 KiB."""

HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST = re.compile(
    rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ -~\t]*\r\n)*\r\n"
)
"""A request line in origin form and fields of plain ASCII, each on a line of its own."""
_CONNECT = re.compile(
    rb"CONNECT ([0-9A-Za-z.\-_]+):([0-9]{1,5}) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ -~\t]*\r\n)*\r\n"
)
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HOST_LINE = re.compile(rb"\r\n[Hh][Oo][Ss][Tt]:[^\r\n]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_NOT_OURS = frozenset({"expect", "http2-settings", "proxy-connection", "proxy-authorization"})
_UPGRADES = re.compile(r"(?:keep-alive, *)?upgrade(?:, *keep-alive)?")
NO_BODY = (204, 304)

type Framing = Literal["none", "chunked", "close"] | int
"""How a body ends: there is none, by its chunks, with the connection, after so many bytes."""


class ProtocolError(Exception):
    """What came is not HTTP/1 as we can follow it."""


class RequestHead(msgspec.Struct, frozen=True):
    """A request's line and fields."""

    method: str
    path: str
    """Path and query."""
    fields: dict[str, str]
    """Names in lower case; a repeated field's values are joined by commas."""
    body: Framing
    keep_alive: bool
    upgrade: bool
    """It asks for a WebSocket."""
    raw: bytes

    @classmethod
    def read(cls, raw: bytes) -> RequestHead | None:
        """The head that ``raw`` is, its empty line included; None if it is not for the lane."""
        match = _REQUEST.fullmatch(raw)
        if match is None:
            return None
        fields = _fields(raw[match.end(2) + 11 : -4].decode("ascii").split("\r\n"))
        if "host" not in fields or "," in fields["host"] or not _NOT_OURS.isdisjoint(fields):
            return None
        body = _request_body(fields)
        if body is None:
            return None
        method, path = match[1].decode(), match[2].decode()
        connection = fields.get("connection", "keep-alive").lower()
        upgrade = "upgrade" in fields
        if upgrade and (method != "GET" or body != "none" or not _asks_socket(fields, connection)):
            return None
        if not upgrade and connection not in ("keep-alive", "close"):
            return None
        return cls(method, path, fields, body, connection != "close", upgrade, raw)

    def sent_to(self, path: str, host: str | None) -> bytes:
        """The head for another path, and for another host unless that is None.

        Nothing else of it is changed.
        """
        raw = self.raw
        if host is not None:
            raw = _HOST_LINE.sub(lambda _: b"\r\nHost: " + host.encode(), raw, count=1)
        if path != self.path:
            start = len(self.method) + 1
            raw = raw[:start] + path.encode() + raw[start + len(self.path) :]
        return raw


def read_connect(raw: bytes) -> tuple[str, int] | None:
    """Host and port of a CONNECT by name; None if ``raw`` is anything else."""
    match = _CONNECT.fullmatch(raw)
    if match is None:
        return None
    return match[1].decode(), int(match[2])


class ResponseHead(msgspec.Struct, frozen=True):
    """A response's status and fields."""

    status: int
    fields: dict[str, str]
    body: Framing
    keep_alive: bool

    @classmethod
    def read(cls, raw: bytes, method: str) -> ResponseHead:
        """The head that ``raw`` is, its empty line included.

        Args:
            raw: From the status line to the empty line.
            method: Of the request: HEAD has no body.

        Raises:
            ProtocolError: It is no head, or does not tell surely where the body ends.
        """
        match = _STATUS.match(raw)
        if match is None:
            raise ProtocolError("no status line")
        status = int(match[2])
        text = raw[match.end() :].decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        lines = text.rstrip("\n").split("\n")
        if "\n " in text or "\n\t" in text:
            lines = _unfolded(lines)
        fields = _fields(lines)
        body = _response_body(status, fields, method)
        connection = fields.get("connection", "").lower()
        keep_alive = "close" not in connection if match[1] == b"1" else "keep-alive" in connection
        return cls(status, fields, body, keep_alive and body != "close")


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            if not line:
                continue
            raise ProtocolError("a field without a colon")
        name, value = name.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _unfolded(lines: list[str]) -> list[str]:
    """Lines that begin with a blank go on the line before (RFC 9112, section 5.2)."""
    whole: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and whole:
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    return whole


def _asks_socket(fields: dict[str, str], connection: str) -> bool:
    """Whether an upgrade is to a WebSocket: any other is for mitmproxy."""
    return fields["upgrade"].lower() == "websocket" and bool(_UPGRADES.fullmatch(connection))


def _request_body(fields: dict[str, str]) -> Framing | None:
    """RFC 9112, section 6.3; None for what is open to two readings."""
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if coding is not None:
        return "chunked" if coding.lower() == "chunked" and length is None else None
    if length is None:
        return "none"
    if not _LENGTH.fullmatch(length):
        return None
    return int(length) or "none"


def _response_body(status: int, fields: dict[str, str], method: str) -> Framing:
    """RFC 9112, section 6.3."""
    if method == "HEAD" or status in NO_BODY or status < 200:  # noqa: PLR2004 - interim
        return "none"
    coding = fields.get("transfer-encoding")
    if coding is not None and coding.lower() != "identity":
        return "chunked" if coding.lower().rpartition(",")[2].strip() == "chunked" else "close"
    length = fields.get("content-length")
    if length is None:
        return "close"
    same = {value.strip() for value in length.split(",")}
    if len(same) != 1 or not _LENGTH.fullmatch(length := same.pop()):
        raise ProtocolError("a length that is none")
    return int(length) or "none"
