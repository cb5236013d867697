"""Whose API a request is for, and which of its operations: told by method and path alone.

One port serves every provider. The rules:

* An optional first segment names the flavour (``/deepseek/chat/completions``),
  since several providers serve the same paths; the rest is that provider's path.
* Without one the path tells; where several providers share it, its inventor has it.
* A provider's prefix before a known ending (``/api/v1``, ``/openai/v1``) is free:
  what matters is the ending.

Sources: the providers' own SDKs and API references.
"""

from __future__ import annotations

import functools
import re
from typing import Final
from urllib.parse import parse_qsl, unquote

import msgspec

PROVIDERS: Final = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "google",
    "code-assist": "google",
    "deepseek": "deepseek",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "groq": "groq",
    "openrouter": "openrouter",
    "cohere": "cohere",
    "perplexity": "perplexity",
    "ollama": "ollama",
    "bedrock": "aws.bedrock",
    "bedrock-sdk": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "vertex-anthropic": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "foundry": "azure.ai.inference",
    "copilot": "github_copilot",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "cerebras": "cerebras",
    "moonshot": "moonshot_ai",
    "zai": "z_ai",
    "minimax": "minimax",
    "nvidia": "nvidia",
    "huggingface": "huggingface",
}
"""Flavour, as the first path segment names it -> the provider's name in OpenTelemetry's words."""

DEFAULT_MODELS: Final = {
    "anthropic": "claude-opus-5-5",
    "google": "gemini-3-flash",
    "mistral_ai": "mistral-medium-latest",
}
"""By provider: the model of a request that names none."""
DEFAULT_MODEL: Final = "gpt-6-sol"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is for."""

    flavour: str
    route: str
    """The path without flavour and query."""
    wire: str = ""
    """Who answers it, a name in ``wires.WIRES``; "": the rest of the API."""
    call: bool = False
    """Whether it asks a model for an answer."""
    socket: bool = False
    """Whether it may open a WebSocket."""
    model: str = ""
    """The model that the path names."""
    stream: bool | None = None
    """What the path says of streaming; None: the body says."""
    rest: str = ""
    """The part of the path after a known ending: an id, a verb."""
    query: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return PROVIDERS[self.flavour]


class _Rule(msgspec.Struct, frozen=True):
    """Requests alike: a method, a pattern of the whole route, and who answers."""

    method: str
    pattern: re.Pattern[str]
    wire: str
    flavour: str = ""
    """Whose it is when the path has no flavour; "": told by its prefix."""
    call: bool = True
    socket: bool = False
    stream: bool | None = None


def _rule(
    method: str,
    pattern: str,
    wire: str,
    flavour: str = "",
    *,
    call: bool = True,
    socket: bool = False,
    stream: bool | None = None,
) -> _Rule:
    return _Rule(method, re.compile(pattern), wire, flavour, call, socket, stream)


_GOOGLE_MODELS = (
    r"/v1\w*/(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/google/)?"
    r"(?:m|tunedM)odels/(?P<model>[^/:]+)"
)
_PARTNER = r"/v1\w*/projects/[^/]+/locations/[^/]+/publishers/{}/models/(?P<model>[^/:]+)"
_LIVE = r"/ws/{}\.\w+\.\w+[./]BidiGenerateContent(?:Constrained)?"
_BEDROCK = r"/model/(?P<model>[^/]+)"

_RULES: Final = (
    _rule("POST", r".*/v1/messages", "anthropic.messages"),
    _rule("POST", r".*/publishers/anthropic/models/count-tokens:rawPredict",
          "anthropic.messages", "vertex", call=False),
    _rule("POST", _PARTNER.format("anthropic") + ":rawPredict", "anthropic.messages", "vertex",
          stream=False),
    _rule("POST", _PARTNER.format("anthropic") + ":streamRawPredict", "anthropic.messages",
          "vertex", stream=True),
    _rule("POST", _PARTNER.format("mistralai") + ":rawPredict", "openai.chat", "vertex",
          stream=False),
    _rule("POST", _PARTNER.format("mistralai") + ":streamRawPredict", "openai.chat", "vertex",
          stream=True),
    _rule("POST", _BEDROCK + "/invoke", "bedrock.invoke", "bedrock", stream=False),
    _rule("POST", _BEDROCK + "/invoke-with-response-stream", "bedrock.invoke", "bedrock",
          stream=True),
    _rule("POST", _BEDROCK + "/converse", "bedrock.converse", "bedrock", stream=False),
    _rule("POST", _BEDROCK + "/converse-stream", "bedrock.converse", "bedrock", stream=True),
    _rule("POST", _BEDROCK + "/count-tokens", "bedrock.converse", "bedrock", call=False),
    _rule("POST", r".*/openai/deployments/(?P<model>[^/]+)/chat/completions", "openai.chat",
          "azure"),
    _rule("POST", r".*/openai/deployments/(?P<model>[^/]+)/embeddings", "openai.embeddings",
          "azure"),
    _rule("POST", r".*/openai/deployments/(?P<model>[^/]+)/images/\w+", "openai.images", "azure"),
    _rule("POST", r".*/openai/deployments/(?P<model>[^/]+)/audio/speech", "openai.speech",
          "azure"),
    _rule("POST", r".*/openai/deployments/(?P<model>[^/]+)/audio/\w+", "openai.audio", "azure"),
    _rule("POST", r"/api/chat", "ollama.chat", "ollama"),
    _rule("POST", r"/api/generate", "ollama.generate", "ollama"),
    _rule("POST", r"/api/embed(?:dings)?", "ollama.embed", "ollama"),
    _rule("POST", r"/v2/chat", "cohere.chat", "cohere"),
    _rule("POST", r"/v1/(?:chat|generate)", "cohere.v1", "cohere"),
    _rule("POST", r"/v[12]/embed", "cohere.embed", "cohere"),
    _rule("POST", r"/v[12]/rerank", "cohere.rerank", "cohere"),
    _rule("POST", r".*/chat/completions", "openai.chat"),
    _rule("POST", r"/v1/agents/completions", "openai.chat", "mistral"),
    _rule("POST", r"/v1/conversations(?:/(?P<rest>[^/]+)(?:/restart)?)?", "mistral.conversations",
          "mistral"),
    _rule("POST", r"/v1/ocr", "mistral.ocr", "mistral"),
    _rule("POST", r".*/completions", "openai.completions"),
    _rule("POST", r".*/embeddings", "openai.embeddings"),
    _rule("POST", r".*/responses", "openai.responses"),
    _rule("WS", r".*/responses", "openai.responses"),
    _rule("GET", r".*/responses", "openai.responses", call=False, socket=True),
    _rule("POST", r".*/responses/compact", "openai.compact"),
    _rule("POST", r".*/responses/input_tokens", "openai.responses", call=False),
    _rule("GET", r".*/responses/(?P<rest>[^/]+)", "openai.responses", call=False),
    _rule("WS", r".*/realtime", "openai.realtime"),
    _rule("GET", r".*/realtime", "openai.realtime", call=False, socket=True),
    _rule("POST", r".*/images/(?:generations|edits|variations)", "openai.images"),
    _rule("POST", r".*/audio/(?:transcriptions|translations)", "openai.audio"),
    _rule("POST", r".*/audio/speech", "openai.speech"),
    _rule("GET", r".*/files/(?P<rest>[^/]+)/content", "openai.chat", call=False),
    _rule("POST", _GOOGLE_MODELS + ":generateContent", "google.generate", stream=False),
    _rule("POST", _GOOGLE_MODELS + ":streamGenerateContent", "google.generate", stream=True),
    _rule("POST", _GOOGLE_MODELS + ":(?:batchE|e)mbedContents?", "google.embed"),
    _rule("POST", _GOOGLE_MODELS + ":predict", "google.predict", "vertex"),
    _rule("POST", _GOOGLE_MODELS + ":countTokens", "google.generate", call=False),
    _rule("POST", r"/v1\w*/interactions", "google.interactions", "google"),
    _rule("GET", r"/v1\w*/interactions/(?P<rest>[^/]+)", "google.interactions", "google",
          call=False),
    _rule("WS", _LIVE.format("google.ai.generativelanguage"), "google.live", "google"),
    _rule("GET", _LIVE.format("google.ai.generativelanguage"), "google.live", "google", call=False,
          socket=True),
    _rule("WS", _LIVE.format("google.cloud.aiplatform"), "google.live", "vertex"),
    _rule("GET", _LIVE.format("google.cloud.aiplatform"), "google.live", "vertex", call=False,
          socket=True),
    _rule("POST", "/v1internal:generateContent", "google.generate", "code-assist", stream=False),
    _rule("POST", "/v1internal:streamGenerateContent", "google.generate", "code-assist",
          stream=True),
    _rule("POST", r"/v1internal:(?P<rest>\w+)", "google.generate", "code-assist", call=False),
    _rule("GET", r"/v1internal/(?P<rest>.+)", "google.generate", "code-assist", call=False),
)  # fmt: skip

_BY_WIRE: Final = {"anthropic": "anthropic", "google": "google"}
"""First part of a wire's name -> its inventor; any other: OpenAI."""
_BY_PREFIX: Final = (
    ("/api/v1/", "openrouter"),
    ("/openai/realtime", "azure"),
    ("/anthropic/", "foundry"),
    ("/chat/", "deepseek"),
    ("/beta/", "deepseek"),
    ("/v1/projects/", "vertex"),
    ("/v1beta1/projects/", "vertex"),
    ("/v1/publishers/", "vertex"),
    ("/v1beta1/publishers/", "vertex"),
    ("/v1beta/", "google"),
)
"""Prefixes that only one provider's SDK uses."""
_ASIDE: Final = (
    ("/v1beta", "google"),
    ("/v1internal", "code-assist"),
    ("/backend-api/", "openai"),
    ("/v1/models", "openai"),
    ("/v1/responses", "openai"),
    ("/v1/chat/", "openai"),
    ("/v1/files", "openai"),
    ("/v1/batches", "openai"),
    ("/model/", "bedrock"),
    ("/inference-profiles", "bedrock"),
    ("/api/tags", "ollama"),
    ("/api/version", "ollama"),
    ("/api/show", "ollama"),
    ("/api/ps", "ollama"),
    ("/api/v1/", "openrouter"),
)
"""Beginnings of paths that ask no model -> whose they are; any other is Anthropic's."""


_AZURES: Final = re.compile(r"deployments/|realtime$")
"""What follows ``/openai/`` on Azure alone, where that is no flavour."""


@functools.lru_cache(maxsize=1024)
def target_of(method: str, path: str) -> Target:
    """What ``method`` on ``path`` (with its query) is for."""
    route, _, query = path.partition("?")
    first, slash, rest = route[1:].partition("/")
    flavour = ""
    if first in PROVIDERS and not (first == "openai" and _AZURES.match(rest)):
        flavour, route = first, slash + rest
    asked = dict(parse_qsl(query, keep_blank_values=True))
    for rule in _RULES:
        if rule.method == method and (found := rule.pattern.fullmatch(route)):
            groups = found.groupdict()
            return Target(
                flavour=flavour or rule.flavour or _flavour(rule, route),
                route=route,
                wire=rule.wire,
                call=rule.call,
                socket=rule.socket,
                model=unquote(groups.get("model") or ""),
                stream=rule.stream,
                rest=groups.get("rest") or "",
                query=asked,
            )
    flavour = flavour or next((f for start, f in _ASIDE if route.startswith(start)), "anthropic")
    return Target(flavour=flavour, route=route, query=asked)


def _flavour(rule: _Rule, route: str) -> str:
    known = next((name for start, name in _BY_PREFIX if route.startswith(start)), "")
    return known or _BY_WIRE.get(rule.wire.partition(".")[0], "openai")
