"""Every operation of every provider, as a client on the provider's own host asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tests.simulator.dialogues import (
    COMMIT,
    CREATE,
    LIVE,
    LIVE_MODEL,
    NO_TURNS,
    SILENCE,
    SPEECH,
    TRANSCRIBED,
    append,
    heard,
    say,
    setup,
    turn,
)
from tests.simulator.providers import APIS, SAY, Api
from tests.simulator.test_websocket import create
from tokenproxy.simulator.targets import target_of
from tokenproxy.wire.providers import PROVIDERS

Json = dict[str, Any]

RESOURCES = {
    "azure": "resource.openai.azure.com",
    "foundry": "resource.services.ai.azure.com",
    "bedrock": "bedrock-runtime.us-east-1.amazonaws.com",
    "vertex": "aiplatform.googleapis.com",
    "ollama": "ollama.com",
}
"""Flavour -> host, where the provider's first one is a pattern, or this machine."""
OTHER_HOSTS = {"codex": "chatgpt.com", "mantle": "bedrock-mantle.us-east-1.api.aws"}
"""The same for single operations, by the name that they have there."""
MODELS = {
    "deepseek": "deepseek-v4-pro",
    "deepseek-messages": "deepseek-v4-pro",
    "openrouter-messages": "anthropic/claude-opus-5.5",
    "gemini-interaction": "gemini-3-flash-preview",
    "code-assist": "gemini-3-flash-preview",
    "gemini-chat": "gemini-3-flash-preview",
    "mantle": "anthropic.claude-opus-5-5",
    "copilot": "grok-4.7",
    "fireworks": "accounts/fireworks/models/qwen3p8-max",
    "cerebras": "zai-glm-4.7",
    "moonshot": "kimi-k3",
    "zai": "glm-5.3",
    "minimax": "minimax-m3",
}
"""Name of an operation -> a model that has a price there."""
FLAVOURS = [
    *("anthropic", "openai", "google", "code-assist", "deepseek", "mistral", "xai", "groq"),
    *("openrouter", "cohere", "perplexity", "ollama", "bedrock", "vertex", "azure", "foundry"),
    *("copilot", "together", "fireworks", "cerebras", "moonshot", "zai", "minimax", "nvidia"),
    "huggingface",
]


class Operation(msgspec.Struct, kw_only=True):
    """One thing that the client does."""

    name: str
    host: str
    path: str
    """``@NAME`` in it stands for the id that the answer to operation ``NAME`` bore."""
    method: str = "POST"
    body: Json | None = None
    form: dict[str, str] = {}
    """Sent as a multipart form, instead of a body."""
    socket: list[tuple[list[Json], str]] = []
    """On a WebSocket: what is sent, and what is waited for before the next is."""
    scenario: str = ""
    """The simulator's scenario, if it is not its own."""
    rows: int = 1
    """How many rows the ledger gets of it."""


def host_of(flavour: str) -> str:
    """Where the API of a flavour lives."""
    return RESOURCES.get(flavour) or PROVIDERS[flavour].hosts[0]


def routes(url: str) -> Iterator[str]:
    """``HOST=URL`` for each host that is asked: all lead to the simulator at ``url``."""
    for flavour in FLAVOURS:
        yield f"{host_of(flavour)}={url}/{flavour}"
    yield f"{OTHER_HOSTS['codex']}={url}"
    yield f"{OTHER_HOSTS['mantle']}={url}/bedrock"


def answers(*, stream: bool) -> Iterator[Operation]:
    """An answer of each API that has both kinds."""
    for name, api in {**APIS, **MORE}.items():
        path, body = api.streaming if stream else (api.path, api.body | api.plain)
        host, place = _place(name, path.replace("/gemini-3-flash:", "/gemini-3-flash-preview:"))
        if name in MODELS:
            body = body | {"model": MODELS[name]}
        kind = "stream" if stream else "plain"
        yield Operation(name=f"{name}/{kind}", host=host, path=place, body=body)


def _place(name: str, path: str) -> tuple[str, str]:
    """Host, and path there, of a path of the simulator's."""
    flavour = target_of("POST", path).flavour
    host = OTHER_HOSTS.get(name) or host_of(flavour)
    return host, re.sub(rf"^/{flavour}(?=/(?!deployments/))", "", path)


def _compatible(flavour: str) -> Api:
    path = f"/{flavour}{PROVIDERS[flavour].base_path}/chat/completions"
    like = APIS["together"]
    return Api(path=path, provider=PROVIDERS[flavour].name, read=like.read, plain={},
               body=like.body, stream=like.stream)  # fmt: skip


def _completions(path: str, model: str) -> Api:
    """The old kind of completions."""
    body = {"model": model, "prompt": "hello"}
    like = APIS["openai"]
    return Api(path=path, provider=target_of("POST", path).provider, read=like.read, body=body,
               stream=like.stream, plain={})  # fmt: skip


_IMAGE = {"model": "gpt-image-2", "prompt": "a cat"}
_SPOKEN = {"model": "gpt-4o-transcribe", "file": "RIFF"}

MORE = {flavour: _compatible(flavour) for flavour in FLAVOURS[-9:]} | {
    "openai-images": Api(
        path="/v1/images/generations",
        provider="openai",
        read=APIS["openai"].read,
        body=_IMAGE,
        stream={"stream": True},
        plain={},
    ),
    "openrouter-responses": Api(
        path="/openrouter/api/v1/responses",
        provider="openrouter",
        read=APIS["xai-responses"].read,
        body={"model": "z-ai/glm-5.3", "input": "hello"},
        stream={"stream": True},
        plain={},
    ),
}
MORE |= {
    "openai-completions": _completions("/v1/completions", "gpt-3.5-turbo-instruct"),
    "deepseek-completions": _completions("/deepseek/beta/completions", "deepseek-v4-pro"),
    "gemini-completions": _completions("/v1beta/openai/completions", "gemini-3-flash-preview"),
    "groq-completions": _completions("/groq/openai/v1/completions", "openai/gpt-oss-20b"),
    "openrouter-completions": _completions("/openrouter/api/v1/completions", "z-ai/glm-5.3"),
    "perplexity-completions": _completions("/perplexity/v1/completions", "sonar"),
    "xai-completions": _completions("/xai/v1/completions", "grok-4.7"),
}
"""APIs beside those on which the simulator is tested, as that has them."""


def once() -> Iterator[Operation]:
    """What has one kind of answer, or none that is a call."""
    openai, google = host_of("openai"), host_of("google")
    anthropic, mistral = host_of("anthropic"), host_of("mistral")
    vertex, cohere, ollama = host_of("vertex"), host_of("cohere"), host_of("ollama")
    place = "/v1/projects/p/locations/global/publishers"
    text: Json = {"content": {"parts": [{"text": "hello"}]}}
    ask: Json = {"model": "gpt-6-sol", "input": "hello"}

    def to(host: str, name: str, path: str, body: Json | None = None, **more: Any) -> Operation:
        method = "GET" if body is None and "form" not in more else "POST"
        return Operation(name=name, host=host, path=path, body=body, method=method, **more)

    # OpenAI
    yield to(
        openai,
        "embeddings",
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": "hello"},
    )
    yield to(openai, "compact", "/v1/responses/compact", ask)
    yield to(openai, "edit", "/v1/images/edits", form=_IMAGE | {"image": "PNG"})
    yield to(openai, "transcription", "/v1/audio/transcriptions", form=_SPOKEN)
    yield to(
        openai,
        "transcription-stream",
        "/v1/audio/transcriptions",
        form=_SPOKEN | {"stream": "true"},
    )
    yield to(openai, "whisper", "/v1/audio/translations", form=_SPOKEN | {"model": "whisper-1"})
    yield to(openai, "speech", "/v1/audio/speech", {"model": "gpt-4o-mini-tts", "input": "hello"})
    yield to(openai, "batch", "/v1/files/file-1/content", rows=3)
    yield to(openai, "batch-again", "/v1/files/file-1/content", rows=0)
    yield to(openai, "stored", "/v1/responses", ask)
    yield to(openai, "replay", "/v1/responses/@stored", rows=0)
    yield to(openai, "background", "/v1/responses", ask | {"background": True})
    yield to(openai, "look", "/v1/responses/@background", rows=0)
    yield to(openai, "look-again", "/v1/responses/@background")
    yield to(openai, "count", "/v1/responses/input_tokens", ask, rows=0)
    yield to(
        host_of("azure"),
        "azure-embeddings",
        "/openai/deployments/text-embedding-3-small/embeddings?api-version=1",
        {"input": "hello"},
    )
    yield to(host_of("xai"), "xai-stored", "/v1/responses", ask | {"model": "grok-4.7"})
    yield to(host_of("xai"), "xai-replay", "/v1/responses/@xai-stored", rows=0)
    # Anthropic
    yield to(anthropic, "claude-batch", "/v1/messages/batches/msgbatch_1/results", rows=2)
    yield to(anthropic, "claude-batch-again", "/v1/messages/batches/msgbatch_1/results", rows=0)
    yield to(anthropic, "claude-count", "/v1/messages/count_tokens", {"messages": SAY}, rows=0)
    yield to(host_of("bedrock"), "bedrock-count", "/model/m/count-tokens", {"input": {}}, rows=0)
    # Google
    yield to(google, "gemini-embed", "/v1beta/models/gemini-embedding-001:embedContent", text)
    yield to(
        google,
        "gemini-embed-many",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        {"requests": [text, text]},
    )
    yield to(google, "gemini-count", "/v1beta/models/gemini-3-flash:countTokens", text, rows=0)
    yield to(
        vertex,
        "vertex-embed",
        f"{place}/google/models/gemini-embedding-001:predict",
        {"instances": [{"content": "hello"}] * 2},
    )
    yield to(
        vertex,
        "vertex-mistral",
        f"{place}/mistralai/models/mistral-small-2603:rawPredict",
        {"model": "mistral-small-2603", "messages": SAY},
    )
    interaction: Json = {"model": "gemini-3-flash-preview", "input": "hello"}
    yield to(google, "kept", "/v1beta/interactions", interaction)
    yield to(google, "kept-replay", "/v1beta/interactions/@kept", rows=0)
    yield to(google, "later", "/v1beta/interactions", interaction | {"background": True})
    yield to(google, "later-look", "/v1beta/interactions/@later", rows=0)
    yield to(google, "later-look-again", "/v1beta/interactions/@later")
    # Others
    yield to(mistral, "conversation-goes-on", "/v1/conversations/conv_1", {"inputs": "hello"})
    yield to(mistral, "restart", "/v1/conversations/conv_1/restart", {"inputs": "hello"})
    yield to(mistral, "fim", "/v1/fim/completions", {"model": "codestral-2508", "prompt": "def"})
    yield to(mistral, "ocr", "/v1/ocr", {"model": "mistral-ocr-latest", "document": {}})
    yield to(cohere, "cohere-generate", "/v1/generate", {"model": "command-r", "prompt": "hello"})
    yield to(cohere, "cohere-embed", "/v2/embed", {"model": "embed-v4.0", "texts": ["hello"]})
    yield to(
        cohere,
        "rerank",
        "/v2/rerank",
        {"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"]},
    )
    yield to(ollama, "ollama-embed", "/api/embed", {"model": "qwen3.8:27b", "input": "hello"})


def sockets() -> Iterator[Operation]:
    """Two answers or more on a WebSocket of each kind."""
    openai, google = host_of("openai"), host_of("google")
    live = setup()
    vertex_live = setup(f"projects/p/locations/l/publishers/google/models/{LIVE_MODEL}")

    def on(host: str, name: str, path: str, *steps: tuple[list[Json], str], rows: int = 2
           ) -> Operation:  # fmt: skip
        return Operation(
            name=name, host=host, path=path, method="GET", socket=list(steps), rows=rows
        )

    asked = [create()], "response"
    yield on(openai, "responses/socket", "/v1/responses", asked, asked)
    yield on("chatgpt.com", "codex/socket", "/backend-api/codex/responses", asked, asked)
    yield on(
        host_of("xai"),
        "xai/socket",
        "/v1/responses",
        ([create(model="grok-4.7")], "response"),
        rows=1,
    )
    yield on(
        openai,
        "realtime/socket",
        "/v1/realtime?model=gpt-realtime-2",
        ([say("hello"), CREATE], "spoken"),
        ([CREATE], "spoken"),
    )
    yield on(
        openai,
        "speech/socket",
        "/v1/realtime?model=gpt-realtime-2",
        ([TRANSCRIBED, append(SPEECH), append(SILENCE)], "spoken twice"),
    )
    yield on(
        openai,
        "dictation/socket",
        "/v1/realtime?intent=transcription",
        ([NO_TURNS, append(SPEECH), COMMIT], "spoken"),
        rows=1,
    )
    yield on(
        host_of("azure"),
        "azure-realtime/socket",
        "/openai/realtime?api-version=1&deployment=gpt-realtime-2",
        ([CREATE], "spoken"),
        rows=1,
    )
    yield on(
        google,
        "live/socket",
        LIVE,
        ([live, turn("hello")], "usage"),
        ([heard(SPEECH), heard(SILENCE)], "usage"),
    )
    yield on(
        host_of("vertex"),
        "vertex-live/socket",
        "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent",
        ([vertex_live, turn("hello")], "usage"),
        rows=1,
    )


def every(*, stream: bool) -> list[Operation]:
    """All of them; of APIs that have both kinds of answers one kind."""
    return [*answers(stream=stream), *once(), *sockets()]


HEADER = "x-scenario"
SILENT = frozenset({"malformed-json", "not-utf8"})
"""Scenarios of which a client that waits for a message's end hears nothing on a WebSocket."""


def faulty(scenarios: Sequence[str]) -> list[Operation]:
    """Streams and WebSockets of every API, each with every fault."""
    asked = [*answers(stream=True), *sockets()]
    return [
        msgspec.structs.replace(one, name=f"{one.name}/{scenario}", scenario=scenario)
        for scenario in scenarios
        for one in asked
        if not (one.socket and scenario in SILENT)
    ]
