"""A provider that fails as it is told: ``python -m benchmarks.soak.upstream PORT``."""

from __future__ import annotations

import asyncio
import re
import sys
import zlib
from collections.abc import Iterator

import uvloop

from benchmarks.soak.plan import BURST, FIRST_WORD, INPUT, LEAVE, WHOLE, Call

NUMBER = re.compile(rb"x-claude-code-session-id: (\d+)", re.IGNORECASE)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"all work and no play"}}\n\n'
)
GONE_S = 20
"""For a client to leave and the gateway to leave with it; later the answer goes on."""
PAUSE_S = 0.001
"""Between bursts: others have their turn."""


def events(call: Call) -> Iterator[bytes]:
    """A whole answer, burst by burst."""
    yield (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_%d",'
        b'"type":"message","role":"assistant","model":"claude-opus-5-5","content":[],'
        b'"usage":{"input_tokens":%d,"output_tokens":%d}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n' % (call.number, INPUT, FIRST_WORD)
    )
    left = call.chunks
    while left:
        count = min(left, BURST)
        left -= count
        yield DELTA * count
    if call.fault not in WHOLE:
        return
    yield last_events(call)


def last_events(call: Call) -> bytes:
    """The end of a whole answer, with the bill's count."""
    return (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":%d}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n' % call.output_tokens
    )


class Provider:
    """Answers, and counts the requests that reached it."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                number = NUMBER.search(head)
                call = Call(int(number[1]) if number else 0)
                if not await self._answer(call, writer):
                    break
                if call.fault in LEAVE:
                    # Else nobody could say what had passed when it left.
                    await asyncio.wait_for(reader.read(1), GONE_S)
                    late = last_events(call)
                    writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(late), late))
                    break
        except (asyncio.IncompleteReadError, OSError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        fault = call.fault
        if fault == "dropped":
            writer.transport.abort()
            return False
        if fault == "overloaded":
            body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
            writer.write(
                b"HTTP/1.1 529 Overloaded\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            return True
        squeeze = zlib.compressobj(1, wbits=31) if fault == "gzip" else None
        chunked = fault != "short body"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + (b"Content-Encoding: gzip\r\n" if squeeze else b"")
            + (b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 99999999\r\n")
            + b"\r\n"
        )
        for burst in events(call):
            data = burst
            if squeeze:
                data = squeeze.compress(burst) + squeeze.flush(zlib.Z_SYNC_FLUSH)
            writer.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "garbage":
            writer.write(b"b\r\n\xff\xfe{not it}\n\r\n0\r\n\r\n")
            return True
        if fault == "half a chunk":
            writer.write(b"ff\r\nevent: content_block_delta\ndata: {")
        if fault == "cut":
            writer.write(b"14\r\nevent: content_block\r\n")
        if fault in ("cut", "short body", "half a chunk", *LEAVE):
            return fault in LEAVE
        tail = squeeze.flush() if squeeze else b""
        writer.write((b"%x\r\n%s\r\n" % (len(tail), tail) if tail else b"") + b"0\r\n\r\n")
        return True


async def main() -> None:
    server = await asyncio.start_server(Provider().serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
