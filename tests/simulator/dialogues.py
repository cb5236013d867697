"""What clients of the spoken APIs say, and how a test tells that an answer is over."""

from __future__ import annotations

import base64
from typing import Any

Json = dict[str, Any]

SPEECH = base64.b64encode(bytes(range(1, 97))).decode()
SILENCE = base64.b64encode(bytes(96)).decode()

TRANSCRIPT = "conversation.item.input_audio_transcription"
TRANSCRIBED: Json = {
    "type": "session.update",
    "session": {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
}
NO_TURNS: Json = {
    "type": "session.update",
    "session": {"audio": {"input": {"turn_detection": None}}},
}
COMMIT: Json = {"type": "input_audio_buffer.commit"}
CREATE: Json = {"type": "response.create"}
SHELL: Json = {
    "type": "function",
    "name": "bash",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def append(audio: str) -> Json:
    return {"type": "input_audio_buffer.append", "audio": audio}


def say(text: str) -> Json:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item}


def is_done(event: Json) -> bool:
    return bool(event["type"] == "response.done")


def is_written(event: Json) -> bool:
    return event["type"] in (f"{TRANSCRIPT}.completed", f"{TRANSCRIPT}.failed")


def is_over(event: Json) -> bool:
    return is_done(event) or is_written(event)


LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k"
LIVE_MODEL = "gemini-live-2.5-flash-preview"
VERTEX_LIVE = "/vertex/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"


def setup(model: str = f"models/{LIVE_MODEL}", **more: Any) -> Json:
    return {"setup": {"model": model, **more}}


def turn(text: str) -> Json:
    turns = [{"role": "user", "parts": [{"text": text}]}]
    return {"clientContent": {"turns": turns, "turnComplete": True}}


def heard(audio: str) -> Json:
    return {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": audio}}}


def tells_usage(message: Json) -> bool:
    return "usageMetadata" in message
