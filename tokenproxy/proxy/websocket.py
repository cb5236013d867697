"""mitmproxy's WebSocket, mended where it would change what passes.

* A connection that breaks off without a close frame breaks off on the other side
  too; mitmproxy tells that side a close of 1000, "all went well".
* One that the provider resets is reset for the client.
* A client's close frame goes to the provider, which is heard until its own: an answer's end
  may be under way. mitmproxy answers in its place, and leaves it.
* A frame that comes in many pieces is gathered in linear time; mitmproxy copies
  all of it for each piece.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import websocket
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Event, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from tokenproxy.proxy import resets

_LEFT = "tokenproxy.left"


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

    farewell: CloseConnection | None = None
    """A client's close frame; the connection goes on until the provider's."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _Frames(value) if name == "frame_buf" else value)

    def events(self) -> Generator[Event, Any, None]:
        """As wsproto's, but for the client's close frame: the layer passes that on."""
        for event in super().events():
            leaves = not self.client and self.state is ConnectionState.REMOTE_CLOSING
            if leaves and isinstance(event, CloseConnection):
                self.farewell = event
            else:
                yield event

    def send2(self, event: Event) -> commands.SendData:
        """As mitmproxy's; nothing is said in the name of a side that is gone.

        Who has said that it leaves is told the rest all the same; wsproto would not.
        """
        if isinstance(event, CloseConnection) and event.code == CloseReason.ABNORMAL_CLOSURE:
            return commands.SendData(self.conn, b"")
        if self.farewell is not None and isinstance(event, Message):
            frames = self._proto.send_data(event.data, event.message_finished)
            return commands.SendData(self.conn, frames)
        if self.farewell is not None and isinstance(event, Ping | Pong):
            return commands.SendData(self.conn, b"")  # it would answer to nobody
        return super().send2(event)


class Layer(websocket.WebsocketLayer):
    """Both sides."""

    def relay_messages(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's; a reset is noted for the client, and who leaves is not left."""
        if isinstance(event, events.ConnectionClosed) and event.connection is self.context.server:
            resets.pass_on_reset(self.context)
        yield from super().relay_messages(event)
        farewell = getattr(self.client_ws, "farewell", None)
        if farewell is not None and not is_left(self.flow):
            self.flow.metadata[_LEFT] = True
            if self.server_ws.state is ConnectionState.OPEN:
                yield self.server_ws.send2(farewell)


def is_left(flow: http.HTTPFlow) -> bool:
    """Whether the client has said that it leaves."""
    return bool(flow.metadata.get(_LEFT))
