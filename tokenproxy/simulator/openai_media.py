"""OpenAI's other calls: plain completions, embeddings, images, audio.

Sources: openai-python ``types/completion_usage.py``, ``images_response.py``,
``types/audio``. Speech states no usage at all.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

import msgspec

from tokenproxy.simulator import openai_usage
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words, plain_id
from tokenproxy.simulator.openai_chat import CREATED, STREAM_HEADERS, Chat, served_model
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.wires import WIRES, plain_text, sse, whole

FIELD = re.compile(rb'name="(\w+)"(?:\r\n[^\r\n]+)*\r\n\r\n([^\r\n]*)\r\n')
"""A plain field of a multipart form."""
PIXELS = bytes(range(256)) * 1024
"""An image of 256 kB, as far as anybody looks."""
SECONDS = 42
"""What is transcribed by duration."""
BY_DURATION = ("whisper",)
SOUND = bytes(range(256)) * 16


def form_fields(request: Request) -> dict[str, str]:
    """The plain fields of a multipart form; those of a JSON body."""
    body = request.json
    found = FIELD.findall(request.plain_body) if not body else []
    return {key.decode(): value.decode(errors="replace") for key, value in found} or {
        key: str(value) for key, value in body.items()
    }


class Completions(Chat):
    """``/completions``: the old kind, and filling in the middle."""

    def reply(self, request: Request, message: Message) -> Reply:
        """A text, whole or in chunks."""
        flavour = request.target.flavour
        tokens = openai_usage.billed(message.top, flavour)
        head: Json = {"id": plain_id("cmpl"), "object": "text_completion", "created": CREATED}
        head["model"] = tokens.model
        usage = openai_usage.usage(tokens, flavour)
        choice = {"index": 0, "logprobs": None, "finish_reason": "stop"}
        if not request.streamed:
            said = choice | {"text": plain_text(message)}
            return whole(head | {"choices": [said], "usage": usage}, known=tokens)
        options = request.json.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        going = choice | {"finish_reason": None}
        pieces = [
            Piece(sse(head | {"choices": [going | {"text": part}]}))
            for part in cut_words(plain_text(message))
        ]
        pieces.append(Piece(sse(head | {"choices": [choice | {"text": ""}]})))
        if asked or flavour == "mistral":
            last = sse(head | {"choices": [], "usage": usage})
            pieces.append(Piece(last, known=Known((tokens,), final=True)))
        return Reply(
            headers=STREAM_HEADERS,
            pieces=(*pieces, Piece(b"data: [DONE]\n\n")),
            billed=(tokens,),
        )


class Embeddings(Chat):
    """``/embeddings``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """One vector an input."""
        count = message.top.all_input
        model = served_model(request) if request.json.get("model") else request.model
        given = request.json.get("input")
        number = len(given) if isinstance(given, list) else 1
        vectors = [
            {"object": "embedding", "index": at, "embedding": [0.25, -0.5]} for at in range(number)
        ]
        body = {
            "object": "list",
            "data": vectors,
            "model": model,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }
        return whole(body, known=Tokens(model=model, input=count))


class Images(Chat):
    """``/images/generations`` and ``/images/edits``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """A picture in base64; in a stream one unfinished before it."""
        fields = form_fields(request)
        top = message.top.uncached()
        tokens = Tokens(
            model=request.target.model or fields.get("model") or "gpt-image-2",
            input=top.input,
            output=top.output,
        )
        text = tokens.input // 2
        usage: Json = {
            "input_tokens": tokens.input,
            "input_tokens_details": {"text_tokens": text, "image_tokens": tokens.input - text},
            "output_tokens": tokens.output,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": tokens.output},
            "total_tokens": tokens.input + tokens.output,
        }
        picture = b64encode(PIXELS).decode()
        if fields.get("stream", "").lower() != "true":
            body = {"created": CREATED, "data": [{"b64_json": picture}], "usage": usage}
            return whole(body, known=tokens)
        kind = "image_edit" if request.target.route.endswith("/edits") else "image_generation"
        partial = f"{kind}.partial_image"
        half = {"type": partial, "b64_json": picture[:4096], "partial_image_index": 0}
        done = {"type": f"{kind}.completed", "b64_json": picture, "usage": usage}
        return Reply(
            headers=STREAM_HEADERS,
            pieces=(
                Piece(sse(half, partial)),
                Piece(sse(done, f"{kind}.completed"), known=Known((tokens,), final=True)),
            ),
            billed=(tokens,),
        )


class Audio(Chat):
    """``/audio/transcriptions`` and ``/audio/translations``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """A text; billed by tokens, or by the second on the oldest model."""
        fields = form_fields(request)
        model = request.target.model or fields.get("model") or "gpt-4o-transcribe"
        text = plain_text(message)
        if model.startswith(BY_DURATION):
            usage: Json = {"type": "duration", "seconds": SECONDS}
            return whole({"text": text, "usage": usage}, known=Tokens(model=model))
        top = message.top.uncached()
        tokens = Tokens(model=model, input=top.input, output=top.output)
        usage = {
            "type": "tokens",
            "input_tokens": tokens.input,
            "input_token_details": {"audio_tokens": tokens.input - 10, "text_tokens": 10},
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
        }
        if fields.get("stream", "").lower() != "true":
            return whole({"text": text, "usage": usage}, known=tokens)
        return Reply(
            headers=STREAM_HEADERS,
            pieces=tuple(_transcript(text, usage, Known((tokens,), final=True))),
            billed=(tokens,),
        )


class Speech(Chat):
    """``/audio/speech``: bytes of sound, and no word of what they cost."""

    def reply(self, request: Request, message: Message) -> Reply:
        """Sound."""
        fields = form_fields(request)
        model = request.target.model or fields.get("model") or "gpt-4o-mini-tts"
        top = message.top.uncached()
        return Reply(
            headers=(("Content-Type", "audio/mpeg"),),
            pieces=(Piece(SOUND), Piece(SOUND)),
            billed=(msgspec.structs.replace(top, model=model, thinking=None),),
        )


def _transcript(text: str, usage: Json, known: Known) -> Iterator[Piece]:
    kind = "transcript.text.delta"
    for part in cut_words(text):
        yield Piece(sse({"type": kind, "delta": part}, kind))
    kind = "transcript.text.done"
    yield Piece(sse({"type": kind, "text": text, "usage": usage}, kind), known=known)


WIRES["openai.completions"] = Completions()
WIRES["openai.embeddings"] = Embeddings()
WIRES["openai.images"] = Images()
WIRES["openai.audio"] = Audio()
WIRES["openai.speech"] = Speech()
