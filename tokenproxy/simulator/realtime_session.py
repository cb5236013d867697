"""A conversation of the Realtime API: what it holds, and what asks for an answer.

* The client asks with ``response.create``; the server by itself where it detects turns
  (by default) and hears speech end. Sound is speech, zeros after it are its end.
* What is said becomes an item when it is committed, by either. Where a transcript is
  wanted, that is made at the same time as the answer, and may come before or after it.
* Answers come one after another; one beside the conversation (``conversation: none``)
  does not wait. A session of transcription has no answers.
* A message that is not understood gets an ``error``, which ends nothing.

Source: openai-python ``types/realtime``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from tokenproxy.simulator.messages import Json, plain_id
from tokenproxy.simulator.reply import Piece, Request
from tokenproxy.simulator.session import Asked, Speech, message_of, pieces

MODEL = "gpt-realtime-2"
TRANSCRIBER = "gpt-4o-transcribe"
TRANSCRIBE = "transcribe"
"""Type of a request for a transcript. The server makes it, so the API has no word for it."""
SETTLED = ("tools", "output_modalities", "max_output_tokens")
"""What an answer takes from the session unless it was asked for otherwise."""


def event_id() -> str:
    """An event's id."""
    return plain_id("event")


class RealtimeSession:
    """One connection."""

    def __init__(self, upgrade: Request) -> None:
        query = upgrade.target.query
        self._answers = query.get("intent") != "transcription"
        model = query.get("model") or query.get("deployment") or MODEL
        self._session = _session(model) if self._answers else _transcription()
        self._conversation_id = plain_id("conv")
        self._items: list[Json] = []
        self._speech = Speech()
        self._handlers: dict[str, Callable[[Json], Iterable[Piece | Asked]]] = {
            "session.update": self._update,
            "conversation.item.create": self._create,
            "input_audio_buffer.append": self._hear,
            "input_audio_buffer.commit": self._commit_by_hand,
            "input_audio_buffer.clear": self._clear,
        }
        if self._answers:
            self._handlers["response.create"] = self._answer

    def opening(self) -> Sequence[Piece]:
        """``session.created``."""
        return (_said("session.created", session=self._session),)

    def take(self, message: bytes) -> Iterable[Piece | Asked]:
        """What follows from a message of the client's."""
        event = message_of(message)
        handler = self._handlers.get(str(event.get("type")))
        if handler is None:
            return (_refused(event, "invalid_value", f"Invalid value: {event.get('type')!r}."),)
        return handler(event)

    def _update(self, event: Json) -> Iterator[Piece]:
        changes = event.get("session")
        if isinstance(changes, dict):
            self._session = _merged(self._session, changes)
        yield _said("session.updated", session=self._session)

    def _create(self, event: Json) -> Iterator[Piece]:
        item = event.get("item")
        return self._add(item if isinstance(item, dict) else {})

    def _clear(self, _event: Json) -> Iterator[Piece]:
        self._speech.taken()
        yield _said("input_audio_buffer.cleared")

    def _commit_by_hand(self, event: Json) -> Iterator[Piece | Asked]:
        if self._speech.heard:
            yield from self._commit()
        else:
            yield _refused(event, "input_audio_buffer_commit_empty", "The buffer is empty.")

    def _answer(self, event: Json) -> Iterator[Asked]:
        asked = event.get("response")
        yield self._ask(asked if isinstance(asked, dict) else {})

    def _hear(self, event: Json) -> Iterator[Piece | Asked]:
        self._speech.hear(event.get("audio"))
        detection = self._input.get("turn_detection")
        if not isinstance(detection, dict):
            return
        if self._speech.begun:
            yield _said("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_next")
        if self._speech.over:
            yield _said("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_next")
            yield from self._commit()
            if self._answers and detection.get("create_response", True):
                yield self._ask({})

    def _commit(self) -> Iterator[Piece | Asked]:
        self._speech.taken()
        identity = plain_id("item")
        yield _said("input_audio_buffer.committed", item_id=identity, previous_item_id=None)
        heard = {"type": "input_audio", "transcript": None}
        item = {"type": "message", "role": "user", "content": [heard]}
        yield from self._add(item | {"id": identity})
        transcription = self._input.get("transcription")
        if isinstance(transcription, dict):
            model = str(transcription.get("model") or TRANSCRIBER)
            body = {"type": TRANSCRIBE, "model": model, "item_id": identity}
            yield Asked(msgspec.json.encode(body), "transcripts")

    def _add(self, given: Json) -> Iterator[Piece]:
        known = {"id": plain_id("item"), "object": "realtime.item", "status": "completed"}
        item = known | given
        before = self._items[-1]["id"] if self._items else None
        self._items.append(item)
        for kind in ("added", "done"):
            yield _said(f"conversation.item.{kind}", previous_item_id=before, item=item)

    def _ask(self, asked: Json) -> Asked:
        beside = asked.get("conversation") == "none"
        settled = {name: self._session.get(name) for name in SETTLED}
        body = {
            "input": self._items,
            **settled,
            **asked,
            "type": "response.create",
            "model": self._session["model"],
            "response_id": plain_id("resp"),
            "conversation_id": None if beside else self._conversation_id,
        }
        return Asked(msgspec.json.encode(body), body["response_id"] if beside else "")

    @property
    def _input(self) -> Json:
        audio = self._session.get("audio")
        given = audio.get("input") if isinstance(audio, dict) else None
        return given if isinstance(given, dict) else {}


def _said(kind: str, **fields: object) -> Piece:
    (piece,) = pieces({"type": kind, "event_id": event_id(), **fields})
    return piece


def _refused(event: Json, code: str, text: str) -> Piece:
    error = {
        "type": "invalid_request_error",
        "code": code,
        "message": text,
        "param": "type",
        "event_id": event.get("event_id"),
    }
    return _said("error", error=error)


def _merged(old: Json, new: Json) -> Json:
    return old | {
        key: _merged(old[key], value)
        if isinstance(value, dict) and isinstance(old.get(key), dict)
        else value
        for key, value in new.items()
    }


def _listening() -> Json:
    detection = {"type": "server_vad", "threshold": 0.5, "create_response": True}
    return {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "noise_reduction": None,
        "transcription": None,
        "turn_detection": detection,
    }


def _session(model: str) -> Json:
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": plain_id("sess"),
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "audio": {"input": _listening(), "output": {"voice": "marin", "speed": 1.0}},
    }


def _transcription() -> Json:
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": plain_id("sess"),
        "audio": {"input": _listening() | {"transcription": {"model": TRANSCRIBER}}},
    }
