"""What is sent: one line a scenario."""

from __future__ import annotations

from typing import Literal

import msgspec

CHUNKS = 200
"""Events of a streamed answer."""

FEW = 20
"""Of an answer that is soon over, so that many are begun."""

PACE = 50
"""Events a second where a model writes, not a machine."""

MEGABYTE = 1_000_000

type Unit = Literal["call", "chunk"]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of traffic."""

    name: str
    title: str
    streams: tuple[int, ...] = (16,)
    """Clients at once, in a full run."""
    chunks: int = 0
    """Pieces of an answer; 0: one JSON document of 2 kB."""
    pace: int = 0
    """Pieces a second of each stream; 0: as fast as they are taken."""
    calls: int = 0
    """Of each client; 0: as many as fit in the time."""
    padding: int = 0
    """Bytes of a request's prompt."""
    tls: bool = False
    """Opened on the way: TLS on both sides of a proxy."""
    gzip: bool = False
    fresh: bool = False
    """A new connection for each call, as of a command that makes one."""
    stretch: int = 1
    """Times the usual time, where calls are few."""
    socket: bool = False
    """The Responses API over a WebSocket, else the Messages API."""

    @property
    def unit(self) -> Unit:
        """What costs are counted by."""
        return "chunk" if self.chunks else "call"

    def quick_streams(self) -> tuple[int, ...]:
        """Clients at once in a quick run: the number that the bars are about."""
        return (self.streams[0],) if len(self.streams) == 1 else (16,)

    def load_arguments(self, streams: int, *, seconds: float, warmup_s: float) -> list[str]:
        """For ``traffic load``, beside the way that a peer gives."""
        arguments = [
            f"-streams={streams}", f"-chunks={self.chunks}", f"-pace={self.pace}",
            f"-padding={self.padding}", f"-calls={self.calls}",
            f"-gzip={str(self.gzip).lower()}", f"-socket={str(self.socket).lower()}",
            f"-fresh={str(self.fresh).lower()}",
        ]  # fmt: skip
        if self.calls:
            # Clients that begin in the same instant are a burst that no day has.
            return [*arguments, "-ramp=500ms"]
        return [*arguments, f"-duration={seconds * self.stretch}s", f"-warmup={warmup_s}s"]


MANY = (1, 16, 128, 512)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="json", title="JSON call, 2 kB", streams=MANY),
        Scenario(name="sse", title=f"SSE, {CHUNKS} chunks", streams=MANY, chunks=CHUNKS),
        Scenario(name="tls", title="SSE, TLS opened", streams=MANY, chunks=CHUNKS, tls=True),
        Scenario(name="gzip", title="SSE, gzip", streams=(1, 16, 128), chunks=CHUNKS, gzip=True),
        Scenario(
            name="socket", title="WebSocket", streams=(1, 16, 128), chunks=CHUNKS, socket=True
        ),
        Scenario(name="body", title="1 MB request", streams=(1, 16), padding=MEGABYTE),
        Scenario(name="hello", title="JSON call, new TLS connection", tls=True, fresh=True),
        Scenario(
            name="short", title=f"SSE, {FEW} chunks at {PACE}/s", chunks=FEW, pace=PACE, stretch=2
        ),
        Scenario(
            name="everyday", title=f"SSE, {CHUNKS} chunks at {PACE}/s",
            streams=(64,), chunks=CHUNKS, pace=PACE, calls=1,
        ),
    )
}  # fmt: skip
"""``short`` is where the time to the first byte is measured: many calls, and nobody is at his
limit, so that it is the way that is seen and not the queue before it."""
