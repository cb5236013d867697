"""Google's Live API: generations asked for and answered by messages of a WebSocket.

The first message is ``setup``: model and settings. A generation is asked for by a turn
that is complete (``clientContent``), by text, by the end of an activity or of speech in
``realtimeInput`` (sound is speech, zeros after it are its end), or by a ``toolResponse``.
It ends with ``turnComplete`` or with a ``toolCall``; its usage comes with that message,
or alone in the next (scenario ``stream``). Messages of the server's are binary. There
are no error messages: whatever is wrong ends the connection with a code and a reason.

Sources: google-genai ``live.py``, ``types.py``; googleapis/python-genai and
GoogleCloudPlatform/generative-ai issues for how connections end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.gemini import Generate, billed, envelope
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.session import Asked, Session, Speech, message_of, pieces
from tokenproxy.simulator.wires import WIRES, Failure, objects, tool_calls

SOUND = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "AQIDBAUGBwg="}}
INTERNAL, BAD_MESSAGE = 1011, 1007
"""Codes of RFC 6455 with which connections end; the first for most that goes wrong."""


class Live(Generate):
    """``BidiGenerateContent``."""

    binary = True

    def session(self, upgrade: Request) -> Session:  # noqa: ARG002
        """A session that is not set up yet."""
        return LiveSession()

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """The upgrade."""
        return self.upgrade(request)

    def reply(self, request: Request, message: Message) -> Reply:
        """One generation."""
        tokens = billed(message.top, request.model)
        final = Known((tokens,), final=True)
        vertex = request.target.flavour != "google"
        spoken = _is_spoken(request.json)
        usage = {"usageMetadata": usage_metadata(tokens, vertex=vertex, spoken=spoken)}
        *before, end = _said(message, spoken=spoken)
        last = [end, usage] if message.interim_outputs else [end | usage]
        *sent, told = pieces(*before, *last)
        return Reply(pieces=(*sent, msgspec.structs.replace(told, known=final)), billed=(tokens,))

    def failure(self, request: Request, failure: Failure) -> Reply:
        """A refused upgrade; of a generation, the end of the connection."""
        if request.method != "WS":
            return super().failure(request, failure)
        return Reply(pieces=self.breakdown(request, failure))

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """The end of the connection, with the error's name in its reason."""
        status = envelope(failure)["error"]["status"]
        reason = f"[ORIGINAL ERROR] generic::{status.lower()}: {status}: {failure.text}"
        return (Piece(reason.encode()[:123], close=INTERNAL),)

    def garbage(self) -> tuple[Piece, ...]:
        """Messages that nobody can read."""
        return (Piece(b'{"serverContent": nonsense\xff}'), *pieces({"astonishment": {}}))


class LiveSession:
    """One connection."""

    def __init__(self) -> None:
        self._setup: Json | None = None
        self._contents: list[Json] = []
        self._speech = Speech()

    def opening(self) -> Sequence[Piece]:
        """Nothing: the client begins."""
        return ()

    def take(self, message: bytes) -> Iterable[Piece | Asked]:
        """What follows from a message of the client's."""
        event = message_of(message)
        setup = event.get("setup")
        if self._setup is None:
            if not isinstance(setup, dict):
                return (Piece(b"setup must be the first message", close=BAD_MESSAGE),)
            self._setup = setup
            return pieces({"setupComplete": {}})
        return [self._ask()] if self._is_asked(event) else ()

    def _is_asked(self, event: Json) -> bool:
        content, spoken = event.get("clientContent"), event.get("realtimeInput")
        answers = event.get("toolResponse")
        if isinstance(content, dict):
            self._contents += objects(content.get("turns"))
            return content.get("turnComplete") is True
        if isinstance(answers, dict):
            results = objects(answers.get("functionResponses"))
            parts = [{"functionResponse": result} for result in results]
            self._contents.append({"role": "user", "parts": parts})
            return True
        return isinstance(spoken, dict) and self._is_spoken(spoken)

    def _is_spoken(self, spoken: Json) -> bool:
        if text := spoken.get("text"):
            self._contents.append({"role": "user", "parts": [{"text": text}]})
            return True
        audio = spoken.get("audio")
        if isinstance(audio, dict):
            self._speech.hear(audio.get("data"))
        by_hand = "activityEnd" in spoken or spoken.get("audioStreamEnd") is True
        if not (self._speech.over and self._listens) and not (by_hand and self._speech.heard):
            return False
        self._speech.taken()
        self._contents.append({"role": "user", "parts": [SOUND]})
        return True

    @property
    def _listens(self) -> bool:
        config = (self._setup or {}).get("realtimeInputConfig")
        detection = config.get("automaticActivityDetection") if isinstance(config, dict) else None
        return not (isinstance(detection, dict) and detection.get("disabled") is True)

    def _ask(self) -> Asked:
        setup = self._setup or {}
        model = str(setup.get("model")).rpartition("models/")[2]
        body = setup | {"model": model, "contents": self._contents}
        return Asked(msgspec.json.encode(body))


def usage_metadata(tokens: Tokens, *, vertex: bool, spoken: bool) -> Json:
    """``usageMetadata``; the answer's tokens have another name on Vertex AI."""
    thoughts = tokens.thinking or 0
    text = tokens.all_input // 2
    output = "candidates" if vertex else "response"
    usage: Json = {
        "promptTokenCount": tokens.all_input,
        f"{output}TokenCount": tokens.output - thoughts,
        "totalTokenCount": tokens.all_input + tokens.output,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text},
            {"modality": "AUDIO", "tokenCount": tokens.all_input - text},
        ],
        f"{output}TokensDetails": [
            {"modality": "AUDIO" if spoken else "TEXT", "tokenCount": tokens.output - thoughts},
        ],
    }
    if tokens.thinking is not None:
        usage["thoughtsTokenCount"] = thoughts
    if tokens.cache_read:
        read = tokens.cache_read // 2
        usage["cachedContentTokenCount"] = tokens.cache_read
        usage["cacheTokensDetails"] = [
            {"modality": "TEXT", "tokenCount": read},
            {"modality": "AUDIO", "tokenCount": tokens.cache_read - read},
        ]
    return usage


def _is_spoken(setup: Json) -> bool:
    config = setup.get("generationConfig")
    wanted = config.get("responseModalities") if isinstance(config, dict) else None
    return not isinstance(wanted, list) or "TEXT" not in wanted


def _said(message: Message, *, spoken: bool) -> Iterator[Json]:
    """What is sent of a generation; the last one ends it."""
    for block in message.blocks:
        if block["type"] == "thinking":
            thought = {"text": block["thinking"], "thought": True}
            yield {"serverContent": {"modelTurn": {"parts": [thought]}}}
        elif block["type"] == "text":
            for part in cut_words(block["text"], 2):
                heard = {"parts": [SOUND if spoken else {"text": part}]}
                yield {"serverContent": {"modelTurn": heard}}
                if spoken:
                    yield {"serverContent": {"outputTranscription": {"text": part}}}
    if calls := tool_calls(message):
        asked = [{"id": c["id"], "name": c["name"], "args": c["input"]} for c in calls]
        yield {"toolCall": {"functionCalls": asked}}
        return
    yield {"serverContent": {"generationComplete": True}}
    yield {"serverContent": {"turnComplete": True}}


WIRES["google.live"] = Live()
