"""mitmproxy's WebSocket, mended where it would change what passes.

* A connection that breaks off without a close frame breaks off on the other side
  too; mitmproxy tells that side a close of 1000, "all went well".
* One that the provider resets is reset for the client.
* A frame that comes in many pieces is gathered in linear time; mitmproxy copies
  all of it for each piece.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import websocket
from wsproto.events import CloseConnection, Event
from wsproto.frame_protocol import CloseReason

from tokenproxy.proxy import resets


def install() -> None:
    """Put this in the place of mitmproxy's own, once for the process."""
    vars(websocket).update(WebsocketConnection=Connection, WebsocketLayer=Layer)


class _Frames(list[Any]):
    """The frames of a message so far: each can grow in place."""

    def __init__(self, frames: Iterable[bytes]) -> None:
        super().__init__(map(bytearray, frames))

    def append(self, frame: bytes) -> None:
        """Begin the next frame."""
        super().append(bytearray(frame))


class Connection(websocket.WebsocketConnection):
    """One side of a WebSocket."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _Frames(value) if name == "frame_buf" else value)

    def send2(self, event: Event) -> commands.SendData:
        """As mitmproxy's; nothing is said in the name of a side that is gone."""
        if isinstance(event, CloseConnection) and event.code == CloseReason.ABNORMAL_CLOSURE:
            return commands.SendData(self.conn, b"")
        return super().send2(event)


class Layer(websocket.WebsocketLayer):
    """Both sides."""

    def relay_messages(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's; a reset is noted for the client."""
        if isinstance(event, events.ConnectionClosed) and event.connection is self.context.server:
            resets.pass_on_reset(self.context)
        yield from super().relay_messages(event)
