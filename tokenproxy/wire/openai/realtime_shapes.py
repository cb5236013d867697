"""Shapes of the Realtime API's JSON, with only the fields that accounting needs."""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.responses_shapes import Item


class Transcription(msgspec.Struct):
    """Who writes down what was said."""

    model: str | None = None


class AudioInput(msgspec.Struct):
    """``session.audio.input``."""

    transcription: Transcription | None = None


class Audio(msgspec.Struct):
    """``session.audio``."""

    input: AudioInput | None = None


class Session(msgspec.Struct):
    """A session's configuration."""

    model: str | None = None
    audio: Audio | None = None
    input_audio_transcription: Transcription | None = None
    """Where the beta API had it."""
    tools: msgspec.Raw = msgspec.Raw()

    def transcription(self) -> Transcription | None:
        """Who writes down what is said; None: nobody."""
        if self.input_audio_transcription is not None:
            return self.input_audio_transcription
        audio = self.audio.input if self.audio is not None else None
        return audio.transcription if audio is not None else None


class StatusDetails(msgspec.Struct):
    """Why an answer did not complete."""

    reason: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class Response(msgspec.Struct):
    """An answer."""

    id: str | None = None
    status: str | None = None
    status_details: StatusDetails | None = None
    max_output_tokens: int | None = None
    output: list[Item] | None = None
    usage: dict[str, Any] | None = None


class Event(msgspec.Struct):
    """A message of the server's."""

    type: str | None = None
    response_id: str | None = None
    item_id: str | None = None
    session: Session | None = None
    response: Response | None = None
    usage: dict[str, Any] | None = None
    """Of a transcript."""
    error: msgspec.Raw = msgspec.Raw()


class Asked(msgspec.Struct):
    """A message of the client's."""

    type: str | None = None
    item: Item | None = None


EVENT = Lenient(Event)
ASKED = Lenient(Asked)
