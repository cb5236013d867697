"""What reading requests and WebSocket messages costs: ``python -m benchmarks.messages``.

Without a proxy, like ``benchmarks.parse``: a frame found by our reader and by wsproto's, a
message of the Responses API read, and a request of a megabyte of code read as it is and
reduced first. Processor time of this thread; of several rounds the best.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from wsproto import ConnectionType
from wsproto.connection import Connection

from benchmarks.parse import timed
from tokenproxy.wire import routes
from tokenproxy.wire.dialect import Head, SocketDialect
from tokenproxy.wire.framing.prune import Pruner
from tokenproxy.wire.framing.websocket import FrameReader

FRAMES = 300
MEGABYTE = 1_000_000
_ROUNDS = 20

_DELTA = {
    "type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_0123456789abcdef",
    "output_index": 0, "content_index": 0, "delta": "some words of it ", "logprobs": [],
}  # fmt: skip
_BEGUN = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6"}}


def frames(message: bytes) -> bytes:
    """Many frames of it, as a server sends them."""
    return (b"\x81\x7e" + len(message).to_bytes(2) + message) * FRAMES


def code() -> bytes:
    """A request whose tool results are this project's own code."""
    root = Path(__file__).parents[1] / "tokenproxy"
    text = "".join(path.read_text() for path in sorted(root.rglob("*.py")))
    pieces = [text[at : at + 6000] for at in range(0, MEGABYTE, 6000)]
    results = [
        {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": piece}
        for number, piece in enumerate(pieces)
    ]
    messages = [{"role": "user", "content": results}]
    return json.dumps({"model": "claude-opus-5-5", "max_tokens": 9, "messages": messages}).encode()


def main() -> int:
    """Measure and print."""
    message = json.dumps(_DELTA).encode()
    wire, body = frames(message), code()
    spoken = routes.dialect("openai.responses")
    if not isinstance(spoken, SocketDialect):
        raise TypeError(spoken.name)
    socket = spoken.open_socket(Head(status=101))
    socket.server_message(json.dumps(_BEGUN).encode())
    claude = routes.dialect("anthropic.messages")

    def by_wsproto() -> None:
        connection = Connection(ConnectionType.CLIENT)
        connection.receive_data(wire)
        if sum(1 for _ in connection.events()) != FRAMES:
            raise ValueError(wire)

    def by_us() -> None:
        if len(FrameReader().feed(wire)) != FRAMES:
            raise ValueError(wire)

    def reduced() -> bytes:
        pruner = Pruner()
        pruner.feed(body)
        return pruner.take()

    _say(f"a frame of {len(message)} bytes, wsproto", "us", _best(by_wsproto) / FRAMES)
    _say(f"a frame of {len(message)} bytes, ours", "us", _best(by_us) / FRAMES)
    _say("a message of the Responses API", "us", _best(lambda: socket.server_message(message)))
    megabytes = len(body) / MEGABYTE * 1000
    _say("a MB of request, as it is", "ms", _best(lambda: claude.read_request(body)) / megabytes)
    _say(
        "a MB of request, reduced", "ms",
        _best(lambda: claude.read_request(reduced())) / megabytes,
    )  # fmt: skip
    return 0


def _best(work: Callable[[], object]) -> float:
    return min(timed(5, work) for _ in range(_ROUNDS))


def _say(what: str, unit: str, cost: float) -> None:
    sys.stdout.write(f"{what:40} {cost:8.2f} {unit}\n")


if __name__ == "__main__":
    sys.exit(main())
