"""A reply: what the simulated API sends, when, and what it bills for it.

A scenario decides *what* (pieces of plain body), the modifiers *how*: content
encoding, chunk boundaries, delays, the way the connection ends. They are
independent, so any reply can be sent compressed and cut anywhere.
"""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from tokenproxy.simulator import messages
from tokenproxy.simulator.messages import Event, Json, Known, Message, Tokens
from tokenproxy.simulator.targets import DEFAULT_MODEL, DEFAULT_MODELS, Target, target_of

Headers = list[tuple[str, str]]
Ending = Literal["complete", "fin", "reset", "stall"]


class Piece(msgspec.Struct, frozen=True):
    """A run of the plain body that is flushed to the wire as one."""

    data: bytes
    delay_s: float = 0.0
    """Seconds to wait before it, counted from the piece before."""
    known: Known | None = None
    """What a reader can state once this piece has arrived; None: as before."""
    close: int = 0
    """On a WebSocket, not a message but the connection's end with this code; ``data`` is why."""


class Stored(msgspec.Struct, frozen=True):
    """A response that the API keeps, so that a later request can have it again."""

    id: str
    final: Json
    events: tuple[Json, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One response."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    head_delay_s: float = 0.0
    """Seconds from the whole request to the response's head."""
    pieces: tuple[Piece, ...] = ()
    billed: tuple[Tokens, ...] = ()
    """What the provider charges, whatever of it the client gets to see."""
    encoding: str = ""
    """Content encoding, ``auto``, or "" for none. Used only where the request accepts it."""
    chunks: str = "pieces"
    """HTTP chunk boundaries: ``pieces``, ``whole``, ``bytes`` or ``random:SEED``."""
    sized: bool = False
    """Send Content-Length and no chunked framing."""
    ending: Ending = "complete"
    """``fin`` and ``reset`` break the connection after the last piece; ``stall`` keeps it open."""
    edge: bool = False
    """Answered by the edge in front of the API: none of the API's own headers."""
    dropped: bool = False
    """Break the connection before any response byte."""
    stored: Stored | None = None
    """What can be asked for again."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request exactly as it arrived."""

    number: int
    """1 for the simulator's first request."""
    method: str
    path: str
    """Request target, query included."""
    headers: tuple[tuple[str, str], ...]
    """In the order and case they were sent."""
    body: bytes
    arrived_ns: int
    """Unix time when the head was complete, nanoseconds."""
    http_version: str = "1.1"

    def header(self, name: str) -> str | None:
        """The first value of header ``name``, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def target(self) -> Target:
        """Whose API it is for, and which of its operations."""
        return target_of(self.method, self.path)

    @property
    def plain_body(self) -> bytes:
        """The body without its content encoding; as it came when that is unknown or broken."""
        return decoded(self.body, self.header("content-encoding") or "")

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        try:
            value = msgspec.json.decode(self.plain_body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def model(self) -> str:
        """The model asked for, in the path or the body."""
        target = self.target
        default = DEFAULT_MODELS.get(target.provider, DEFAULT_MODEL)
        return target.model or str(self.json.get("model") or default)

    @property
    def streamed(self) -> bool:
        """Whether a stream is asked for, by the path or the body."""
        asked = self.target.stream
        return self.json.get("stream") is True if asked is None else asked

    @property
    def is_call(self) -> bool:
        """Whether this asks the model for an answer."""
        return self.target.call


def decoded(body: bytes, encoding: str) -> bytes:
    """``body`` of a request without its content ``encoding``."""
    try:
        match encoding.strip().lower():
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "zstd":
                import zstandard

                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
            case "br":
                import brotli  # type: ignore[import-untyped] # it ships none

                return bytes(brotli.decompress(body))
    except Exception:  # noqa: BLE001 - each codec has an error of its own
        return body
    return body


def common_headers(request_id: str) -> Headers:
    """Headers that every response of the API carries."""
    limits = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000}
    headers = [
        ("request-id", request_id),
        ("anthropic-organization-id", "5fd1b3a2-7c0e-4d55-9a63-0e5b7c1d2f40"),
    ]
    for name, limit in limits.items():
        prefix = f"anthropic-ratelimit-{name}"
        headers += [
            (f"{prefix}-limit", str(limit)),
            (f"{prefix}-remaining", str(limit - 1000)),
            (f"{prefix}-reset", "2026-11-22T00:55:00Z"),
        ]
    return [*headers, ("cf-cache-status", "DYNAMIC"), ("Server", "cloudflare")]


def new_request_id() -> str:
    """A ``request-id`` as the API sends them."""
    return f"req_011C{uuid.uuid4().hex[:20]}"


def json_reply(value: Any, *, status: int = 200, headers: Headers | None = None) -> Reply:
    """Answer with ``value`` as JSON."""
    content_type = ("Content-Type", "application/json")
    body = msgspec.json.encode(value)
    return Reply(
        status=status,
        headers=(content_type, *(headers or [])),
        pieces=(Piece(body),),
        sized=True,
    )


def error_reply(
    status: int, kind: str, text: str, *, headers: Headers | None = None, code: str | None = None
) -> Reply:
    """Answer with the API's error envelope. Errors bill nothing."""
    envelope = messages.error_body(kind, text, code=code) | {"request_id": new_request_id()}
    return json_reply(
        envelope, status=status, headers=[*(headers or []), ("request-id", envelope["request_id"])]
    )


def message_reply(message: Message, *, streamed: bool, delay_s: float = 0.0) -> Reply:
    """Answer with ``message``, as a stream or as one JSON body."""
    if streamed:
        return stream_reply(messages.stream(message), billed=message.billed, delay_s=delay_s)
    body = msgspec.json.encode(message.json())
    return Reply(
        headers=(("Content-Type", "application/json"),),
        pieces=(Piece(body, delay_s, Known(message.parts, final=True)),),
        billed=message.billed,
        sized=True,
    )


def stream_reply(
    events: Iterable[Event],
    *,
    billed: tuple[Tokens, ...] = (),
    delay_s: float = 0.0,
    padded: bool = True,
) -> Reply:
    """Answer with ``events`` as a stream, ``delay_s`` seconds before each one."""
    pieces = []
    for at, event in enumerate(events):
        # The API pads its JSON with a varying number of spaces.
        data = event.encode(padding=(at * 7) % 16 if padded else 0)
        pieces.append(Piece(data, delay_s, event.known))
    return Reply(
        headers=(
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-cache"),
        ),
        pieces=tuple(pieces),
        billed=billed,
    )


def cut(reply: Reply, *, keep: int, ending: Ending) -> Reply:
    """``reply`` broken in the middle of piece ``keep``, after ``keep`` whole ones."""
    if keep >= len(reply.pieces):
        raise ValueError(f"reply has {len(reply.pieces)} pieces, cannot be cut in piece {keep}")
    broken = reply.pieces[keep]
    half = Piece(broken.data[: len(broken.data) // 2], broken.delay_s)
    return msgspec.structs.replace(
        reply, pieces=(*reply.pieces[:keep], half), ending=ending, sized=False
    )


def keep_alive_gaps(reply: Reply, *, gap_s: float, ping: bytes) -> Reply:
    """``reply`` with ``ping`` and ``gap_s`` seconds before every piece."""
    pieces: list[Piece] = []
    for at, piece in enumerate(reply.pieces):
        if at and ping:
            pieces.append(Piece(ping, gap_s))
        pieces.append(Piece(piece.data, gap_s, piece.known))
    return msgspec.structs.replace(reply, pieces=tuple(pieces))
