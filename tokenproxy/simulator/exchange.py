"""What the simulator remembers: requests as they came, responses as they went, and the truth."""

from __future__ import annotations

from typing import Literal

import msgspec

from tokenproxy.simulator.messages import Known, Tokens
from tokenproxy.simulator.reply import Reply, Request

End = Literal["open", "complete", "cut", "client_left", "stopped"]


class Exchange(msgspec.Struct, kw_only=True):
    """One request and its response. Fields grow while it is in flight.

    They are updated *before* bytes are handed to the socket, so that whoever
    has read a response finds here all that led to it.
    """

    request: Request
    reply: Reply
    encoding: str = ""
    """Content encoding that was agreed; "" for none."""
    head: tuple[tuple[str, str], ...] = ()
    """Response headers as sent."""
    sent: bytearray = msgspec.field(default_factory=bytearray)
    """The response body as sent: encoded, without chunk framing."""
    chunk_sizes: list[int] = msgspec.field(default_factory=list)
    chunk_sent_ns: list[int] = msgspec.field(default_factory=list)
    """Monotonic time of each chunk, nanoseconds."""
    known: Known | None = None
    """What a reader of ``sent`` can state; None: nothing."""
    ended: End = "open"

    @property
    def is_call(self) -> bool:
        """Whether the request asked the model for an answer."""
        return self.request.is_call

    @property
    def billed(self) -> tuple[Tokens, ...]:
        """What the provider charges for it."""
        return self.reply.billed


def by_model(parts: list[Tokens] | tuple[Tokens, ...]) -> dict[str, Tokens]:
    """Sums by model; the role of a sum is that of its first part."""
    totals: dict[str, Tokens] = {}
    for part in parts:
        before = totals.get(part.model)
        totals[part.model] = before.plus(part) if before else part
    return totals


def by_provider(parts: list[Tokens] | tuple[Tokens, ...]) -> dict[tuple[str, str], Tokens]:
    """Sums by provider and model."""
    totals: dict[tuple[str, str], Tokens] = {}
    for part in parts:
        before = totals.get((part.provider, part.model))
        totals[part.provider, part.model] = before.plus(part) if before else part
    return totals


def on_the_bill_of(provider: str, reply: Reply) -> Reply:
    """``reply`` with ``provider`` in all that it bills and states."""

    def own(parts: tuple[Tokens, ...]) -> tuple[Tokens, ...]:
        return tuple(msgspec.structs.replace(part, provider=provider) for part in parts)

    pieces = tuple(
        msgspec.structs.replace(piece, known=Known(own(piece.known.parts), piece.known.final))
        if piece.known
        else piece
        for piece in reply.pieces
    )
    return msgspec.structs.replace(reply, billed=own(reply.billed), pieces=pieces)


class Truth(msgspec.Struct, kw_only=True):
    """One exchange as ``--record`` writes it: the account without the bodies."""

    number: int
    method: str
    path: str
    request_headers: tuple[tuple[str, str], ...]
    arrived_ns: int
    status: int
    response_headers: tuple[tuple[str, str], ...]
    chunk_sizes: list[int]
    ended: End
    billed: tuple[Tokens, ...]
    known: Known | None

    @classmethod
    def of(cls, exchange: Exchange) -> Truth:
        """The account of ``exchange``."""
        request = exchange.request
        return cls(
            number=request.number,
            method=request.method,
            path=request.path,
            request_headers=request.headers,
            arrived_ns=request.arrived_ns,
            status=exchange.reply.status,
            response_headers=exchange.head,
            chunk_sizes=exchange.chunk_sizes,
            ended=exchange.ended,
            billed=exchange.billed,
            known=exchange.known,
        )
