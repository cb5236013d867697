"""What a WebSocket's server knows of its client: message by message, what is to be answered.

A wire that is spoken over WebSockets makes one session a connection. It is told
each of the client's messages and says what follows: pieces to be sent at once, and
requests that are exchanges of their own (method ``WS``). A request's body is what
the message asks together with all that the session settled before, so that a wire
answers it as if it had been posted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from tokenproxy.simulator.reply import Piece


class Asked(msgspec.Struct, frozen=True):
    """A request for an answer."""

    body: bytes
    lane: str = ""
    """Requests of one lane are answered in turn, those of several at the same time."""


class Session(Protocol):
    """One connection, as a wire sees it."""

    def opening(self) -> Sequence[Piece]:
        """What the server says first."""
        ...

    def take(self, message: bytes) -> Iterable[Piece | Asked]:
        """What follows from a message of the client's."""
        ...


class Speech:
    """Hears where speech begins and ends: sound is speech, zeros after it are its end."""

    def __init__(self) -> None:
        self.heard = False
        """Whether there is speech that has not been taken yet."""
        self.begun = False
        self.over = False

    def hear(self, audio: object) -> None:
        """Take base64 of a chunk of sound."""
        try:
            sound = base64.b64decode(str(audio), validate=True)
        except ValueError:
            return
        loud = any(sound)
        self.begun = loud and not self.heard
        self.over = self.heard and not loud
        self.heard = self.heard or loud

    def taken(self) -> None:
        """What was heard is dealt with."""
        self.heard = self.begun = self.over = False


def message_of(data: bytes) -> dict[str, Any]:
    """A message's JSON object; empty if it is none."""
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def pieces(*values: Any) -> Iterator[Piece]:
    """A message each."""
    return (Piece(msgspec.json.encode(value)) for value in values)
