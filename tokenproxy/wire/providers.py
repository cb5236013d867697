"""The table of providers: every API that is read, and where its dialects are to be found.

A provider costs one entry here and its dialect's file. Dialects are named, not
imported: the launcher reads this table before the user's command starts.

Sources: the providers' own SDKs (paths, base URLs and their variables) and API
references; what they say is cited in the dialects' files.
"""

from __future__ import annotations

from typing import Final

from tokenproxy.wire.endpoints import Endpoint, Provider

_MESSAGES: Final = "anthropic.messages"
_CHAT: Final = "openai.chat"
_RESPONSES: Final = "openai.responses"
_GENERATE: Final = "google.generate_content"


_USAGE_ON_REQUEST: Final = (_CHAT, "deepseek.chat", "google.chat", "openrouter.chat", "xai.chat")
"""Dialects whose streams state their usage only on request; the others' do so by themselves."""

_VERTEX_HOSTS: Final = {
    "global": "aiplatform",
    "us": "aiplatform.us.rep",
    "eu": "aiplatform.eu.rep",
    "*": "*-aiplatform",
}


def _messages(prefix: str = "") -> tuple[Endpoint, ...]:
    """Anthropic's Messages API below a prefix."""
    return (
        Endpoint("POST", f"{prefix}/v1/messages", _MESSAGES),
        Endpoint("POST", f"{prefix}/v1/messages/count_tokens", _MESSAGES, "count_tokens", "count"),
        Endpoint(
            "GET",
            f"{prefix}/v1/messages/batches/{{}}/results",
            _MESSAGES,
            "batch_results",
            "batch_results",
        ),
    )


def _chat(prefix: str, dialect: str = _CHAT) -> tuple[Endpoint, ...]:
    """OpenAI's chat completions below a prefix."""
    asks = dialect in _USAGE_ON_REQUEST
    return (
        Endpoint("POST", f"{prefix}/chat/completions", dialect, usage_on_request=asks),
        Endpoint(
            "POST", f"{prefix}/completions", dialect, "text_completion", usage_on_request=asks
        ),
        Endpoint("POST", f"{prefix}/embeddings", "openai.embeddings", "embeddings"),
    )


def _responses(prefix: str) -> tuple[Endpoint, ...]:
    """OpenAI's Responses API below a prefix."""
    return (
        Endpoint("POST", f"{prefix}/responses", _RESPONSES, "responses", replayable=True),
        Endpoint("GET", f"{prefix}/responses", _RESPONSES, "responses", replayable=True,
                 socket=True),
        Endpoint("POST", f"{prefix}/responses/compact", _RESPONSES, "compact"),
        Endpoint("POST", f"{prefix}/responses/input_tokens", _RESPONSES, "count_tokens", "count"),
        Endpoint("GET", f"{prefix}/responses/{{}}", _RESPONSES, "responses", "replay"),
    )  # fmt: skip


def _openai(prefix: str) -> tuple[Endpoint, ...]:
    """All of OpenAI's API below a prefix."""
    return (
        *_chat(prefix),
        *_responses(prefix),
        Endpoint("POST", f"{prefix}/images/generations", "openai.images", "image_generation"),
        Endpoint("POST", f"{prefix}/images/edits", "openai.images", "image_generation"),
        Endpoint("POST", f"{prefix}/images/variations", "openai.images", "image_generation"),
        Endpoint("POST", f"{prefix}/audio/transcriptions", "openai.audio", "transcription"),
        Endpoint("POST", f"{prefix}/audio/translations", "openai.audio", "transcription"),
        Endpoint("POST", f"{prefix}/audio/speech", "openai.audio", "speech"),
        Endpoint("GET", f"{prefix}/realtime", "openai.realtime", "realtime", socket=True),
        Endpoint("GET", f"{prefix}/files/{{}}/content", "openai.batch", "batch_results",
                 "batch_results"),
    )  # fmt: skip


def _deployments(prefix: str) -> tuple[Endpoint, ...]:
    """Azure's older paths, with a deployment in the model's place."""
    inner = f"{prefix}/openai/deployments/{{model}}"
    return (
        *_chat(inner),
        *(
            Endpoint("POST", f"{inner}/images/{verb}", "openai.images", "image_generation")
            for verb in ("generations", "edits")
        ),
        Endpoint("POST", f"{inner}/audio/transcriptions", "openai.audio", "transcription"),
        Endpoint("POST", f"{inner}/audio/translations", "openai.audio", "transcription"),
        Endpoint("POST", f"{inner}/audio/speech", "openai.audio", "speech"),
        *_responses(f"{prefix}/openai"),
        Endpoint("GET", f"{prefix}/openai/realtime", "openai.realtime", "realtime", socket=True),
    )


def _generate(prefix: str) -> tuple[Endpoint, ...]:
    """Google's generateContent and its kin for models below a prefix."""
    return (
        Endpoint("POST", f"{prefix}{{model}}:generateContent", _GENERATE, "generate_content",
                 stream=False),
        Endpoint("POST", f"{prefix}{{model}}:streamGenerateContent", _GENERATE,
                 "generate_content", stream=True),
        Endpoint("POST", f"{prefix}{{model}}:countTokens", _GENERATE, "count_tokens", "count"),
        Endpoint("POST", f"{prefix}{{model}}:embedContent", "google.embeddings", "embeddings"),
        Endpoint("POST", f"{prefix}{{model}}:batchEmbedContents", "google.embeddings",
                 "embeddings"),
    )  # fmt: skip


def _vertex() -> tuple[Endpoint, ...]:
    """Vertex AI: models of Google and of others, in a project and location."""
    found: list[Endpoint] = []
    for version in ("/v1", "/v1beta1"):
        place = f"{version}/projects/{{}}/locations/{{}}"
        found += _generate(f"{place}/publishers/google/models/")
        found += _generate(f"{version}/publishers/google/models/")  # express mode
        claude = f"{place}/publishers/anthropic/models/"
        found += [
            Endpoint("POST", f"{place}/publishers/google/models/{{model}}:predict",
                     "google.predict", "embeddings"),
            Endpoint("GET", f"/ws/google.cloud.aiplatform.{version[1:]}.LlmBidiService"
                     "/BidiGenerateContent", "google.live", "realtime", socket=True),
            Endpoint("POST", f"{claude}count-tokens:rawPredict", _MESSAGES, "count_tokens",
                     "count"),
            Endpoint("POST", f"{claude}{{model}}:rawPredict", _MESSAGES, stream=False),
            Endpoint("POST", f"{claude}{{model}}:streamRawPredict", _MESSAGES, stream=True),
            Endpoint("POST", f"{place}/publishers/mistralai/models/{{model}}:rawPredict",
                     "mistral.chat", stream=False),
            Endpoint("POST", f"{place}/publishers/mistralai/models/{{model}}:streamRawPredict",
                     "mistral.chat", stream=True),
            Endpoint("POST", f"{place}/endpoints/{{}}/chat/completions", "google.chat"),
        ]  # fmt: skip
    return tuple(found)


def _gemini() -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for version in ("/v1beta", "/v1", "/v1alpha"):
        live = f"/ws/google.ai.generativelanguage.{version[1:]}.GenerativeService"
        found += _generate(f"{version}/models/")
        found += _generate(f"{version}/tunedModels/")
        found += _chat(f"{version}/openai", "google.chat")
        found += [
            Endpoint("POST", f"{version}/interactions", "google.interactions", "interactions",
                     replayable=True),
            Endpoint("GET", f"{version}/interactions/{{}}", "google.interactions",
                     "interactions", "replay"),
            Endpoint("GET", f"{live}.BidiGenerateContent", "google.live", "realtime",
                     socket=True),
            Endpoint("GET", f"{live}.BidiGenerateContentConstrained", "google.live",
                     "realtime", socket=True),
        ]  # fmt: skip
    return tuple(found)


def _bedrock() -> tuple[Endpoint, ...]:
    model = "/model/{model}"
    return (
        Endpoint("POST", f"{model}/invoke", "bedrock.invoke", stream=False),
        Endpoint("POST", f"{model}/invoke-with-response-stream", "bedrock.invoke", stream=True),
        Endpoint("POST", f"{model}/converse", "bedrock.converse", stream=False),
        Endpoint("POST", f"{model}/converse-stream", "bedrock.converse", stream=True),
        Endpoint("POST", f"{model}/count-tokens", "bedrock.converse", "count_tokens", "count"),
        # "Mantle": the vendors' own APIs
        *_messages("/anthropic"),
        *_chat("/v1"),
        *_responses("/v1"),
        *_chat("/openai/v1"),
        *_responses("/openai/v1"),
    )


def _compatible(
    name: str,
    base_url: str,
    *more_hosts: str,
    env: str = "",
    dialect: str = _CHAT,
    more: tuple[Endpoint, ...] = (),
) -> Provider:
    """A provider whose API is OpenAI's, and perhaps Anthropic's beside it."""
    host, _, path = base_url.removeprefix("https://").partition("/")
    prefix = f"/{path}" if path else ""
    return Provider(
        name=name,
        hosts=(host, *more_hosts),
        base_url=base_url,
        base_url_env=env,
        endpoints=(*_chat(prefix, dialect), *_responses(prefix), *_messages("/anthropic"), *more),
    )


PROVIDERS: Final[dict[str, Provider]] = {
    "anthropic": Provider(
        name="anthropic",
        hosts=("api.anthropic.com", "aws-external-anthropic.*.api.aws"),
        base_url="https://api.anthropic.com",
        base_url_env="ANTHROPIC_BASE_URL",
        endpoints=_messages(),
    ),
    "openai": Provider(
        name="openai",
        hosts=("api.openai.com", "*.api.openai.com", "chatgpt.com", "*.chatgpt.com"),
        base_url="https://api.openai.com/v1",
        base_url_env="OPENAI_BASE_URL",
        endpoints=(*_openai("/v1"), *_responses("/backend-api/codex")),
    ),
    "google": Provider(
        name="google",
        hosts=("generativelanguage.googleapis.com", "generativelanguage.mtls.googleapis.com"),
        base_url="https://generativelanguage.googleapis.com",
        base_url_env="GOOGLE_GEMINI_BASE_URL",
        endpoints=_gemini(),
    ),
    "code-assist": Provider(
        name="google",
        hosts=("cloudcode-pa.googleapis.com",),
        base_url="https://cloudcode-pa.googleapis.com",
        base_url_env="CODE_ASSIST_ENDPOINT",
        endpoints=(
            Endpoint(
                "POST", "/v1internal:generateContent", _GENERATE, "generate_content", stream=False
            ),
            Endpoint(
                "POST",
                "/v1internal:streamGenerateContent",
                _GENERATE,
                "generate_content",
                stream=True,
            ),
            Endpoint("POST", "/v1internal:countTokens", _GENERATE, "count_tokens", "count"),
        ),
    ),
    "deepseek": Provider(
        name="deepseek",
        hosts=("api.deepseek.com",),
        base_url="https://api.deepseek.com",
        base_url_env="DEEPSEEK_BASE_URL",
        endpoints=(
            *_chat("", "deepseek.chat"),
            *_chat("/v1", "deepseek.chat"),
            *_chat("/beta", "deepseek.chat"),
            *_messages("/anthropic"),
        ),
    ),
    "mistral": Provider(
        name="mistral_ai",
        hosts=("api.mistral.ai", "codestral.mistral.ai"),
        base_url="https://api.mistral.ai",
        base_url_env="MISTRAL_BASE_URL",
        endpoints=(
            *_chat("/v1", "mistral.chat"),
            Endpoint("POST", "/v1/fim/completions", "mistral.chat", "text_completion"),
            Endpoint("POST", "/v1/agents/completions", "mistral.chat"),
            Endpoint("POST", "/v1/conversations", "mistral.chat"),
            Endpoint("POST", "/v1/conversations/{}", "mistral.chat"),
            Endpoint("POST", "/v1/conversations/{}/restart", "mistral.chat"),
            Endpoint("POST", "/v1/ocr", "mistral.chat", "ocr"),
        ),
    ),
    "xai": Provider(
        name="x_ai",
        hosts=("api.x.ai", "*.api.x.ai"),
        base_url="https://api.x.ai/v1",
        base_url_env="XAI_BASE_URL",
        endpoints=(
            *_chat("/v1", "xai.chat"),
            Endpoint("POST", "/v1/responses", "xai.responses", "responses", replayable=True),
            Endpoint(
                "GET", "/v1/responses", "xai.responses", "responses", replayable=True, socket=True
            ),
            Endpoint("GET", "/v1/responses/{}", "xai.responses", "responses", "replay"),
            Endpoint("POST", "/v1/images/generations", "openai.images", "image_generation"),
            *_messages(),
        ),
    ),
    "groq": Provider(
        name="groq",
        hosts=("api.groq.com",),
        base_url="https://api.groq.com",
        base_url_env="GROQ_BASE_URL",
        endpoints=(
            *_chat("/openai/v1", "groq.chat"),
            *_responses("/openai/v1"),
            Endpoint("POST", "/openai/v1/audio/transcriptions", "openai.audio", "transcription"),
            Endpoint("POST", "/openai/v1/audio/translations", "openai.audio", "transcription"),
            Endpoint("POST", "/openai/v1/audio/speech", "openai.audio", "speech"),
        ),
    ),
    "openrouter": Provider(
        name="openrouter",
        hosts=("openrouter.ai",),
        base_url="https://openrouter.ai/api/v1",
        base_url_env="OPENROUTER_BASE_URL",
        endpoints=(
            *_chat("/api/v1", "openrouter.chat"),
            Endpoint("POST", "/api/v1/responses", "openrouter.responses", "responses"),
            *_messages("/api"),
        ),
    ),
    "cohere": Provider(
        name="cohere",
        hosts=("api.cohere.com", "api.cohere.ai"),
        base_url="https://api.cohere.com",
        base_url_env="CO_API_URL",
        endpoints=(
            Endpoint("POST", "/v2/chat", "cohere.chat"),
            Endpoint("POST", "/v1/chat", "cohere.chat"),
            Endpoint("POST", "/v1/generate", "cohere.chat", "text_completion"),
            Endpoint("POST", "/v2/embed", "cohere.chat", "embeddings"),
            Endpoint("POST", "/v1/embed", "cohere.chat", "embeddings"),
            Endpoint("POST", "/v2/rerank", "cohere.chat", "rerank"),
            Endpoint("POST", "/v1/rerank", "cohere.chat", "rerank"),
            *_chat("/compatibility/v1"),
        ),
    ),
    "perplexity": Provider(
        name="perplexity",
        hosts=("api.perplexity.ai",),
        base_url="https://api.perplexity.ai",
        base_url_env="PERPLEXITY_BASE_URL",
        endpoints=(
            *_chat("", "perplexity.chat"),
            *_chat("/v1", "perplexity.chat"),
            *_responses("/v1"),
        ),
    ),
    "ollama": Provider(
        name="ollama",
        hosts=("localhost:11434", "127.0.0.1:11434", "ollama.com"),
        base_url="http://127.0.0.1:11434",
        base_url_env="OLLAMA_HOST",
        endpoints=(
            Endpoint("POST", "/api/chat", "ollama.chat"),
            Endpoint("POST", "/api/generate", "ollama.chat", "text_completion"),
            Endpoint("POST", "/api/embed", "ollama.chat", "embeddings", stream=False),
            Endpoint("POST", "/api/embeddings", "ollama.chat", "embeddings", stream=False),
            *_chat("/v1"),
            *_responses("/v1"),
            *_messages(),
        ),
    ),
    "bedrock": Provider(
        name="aws.bedrock",
        hosts=(
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-runtime.*.amazonaws.com.cn",
            "bedrock-runtime.*.api.aws",
            "bedrock-mantle.*.api.aws",
        ),
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        base_url_env="ANTHROPIC_BEDROCK_BASE_URL",
        regions=("AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1"),
        reverse_needs=("AWS_BEARER_TOKEN_BEDROCK", "CLAUDE_CODE_SKIP_BEDROCK_AUTH"),
        endpoints=_bedrock(),
    ),
    "bedrock-sdk": Provider(
        name="aws.bedrock",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        base_url_env="AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        regions=("AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1"),
        # boto3 signs for the host it is told, and sends a bearer key over https alone.
        reverse_needs=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
        endpoints=_bedrock(),
    ),
    "vertex": Provider(
        name="gcp.vertex_ai",
        hosts=(
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
            "aiplatform.mtls.googleapis.com",
        ),
        base_url="https://{region}.googleapis.com",
        base_url_env="GOOGLE_VERTEX_BASE_URL",
        regions=("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "global"),
        region_hosts=_VERTEX_HOSTS,
        # google-genai leaves the path out of what it sends to a base URL of the environment's.
        reverse_needs=("GOOGLE_VERTEX_BASE_URL",),
        endpoints=_vertex(),
    ),
    "vertex-anthropic": Provider(
        name="gcp.vertex_ai",
        base_url="https://{region}.googleapis.com/v1",
        base_url_env="ANTHROPIC_VERTEX_BASE_URL",
        regions=("CLOUD_ML_REGION", "global"),
        region_hosts=_VERTEX_HOSTS,
        endpoints=_vertex(),
    ),
    "azure": Provider(
        name="azure.ai.openai",
        hosts=("*.openai.azure.com", "*.cognitiveservices.azure.com"),
        base_url_env="AZURE_OPENAI_ENDPOINT",
        endpoints=(*_openai("/openai/v1"), *_deployments("")),
    ),
    "foundry": Provider(
        name="azure.ai.inference",
        hosts=("*.services.ai.azure.com",),
        base_url_env="ANTHROPIC_FOUNDRY_BASE_URL",
        endpoints=(
            *_messages("/anthropic"),
            *_openai("/openai/v1"),
            *_deployments(""),
            *_chat("/models"),
        ),
    ),
    "copilot": Provider(
        name="github_copilot",
        hosts=("api.githubcopilot.com", "api.*.githubcopilot.com"),
        base_url="https://api.githubcopilot.com",
        base_url_env="COPILOT_API_URL",
        endpoints=(*_chat(""), *_responses(""), *_messages()),
    ),
    "together": _compatible("together_ai", "https://api.together.xyz/v1", "api.together.ai"),
    "fireworks": _compatible(
        "fireworks_ai", "https://api.fireworks.ai/inference/v1", more=_messages("/inference")
    ),
    "cerebras": _compatible("cerebras", "https://api.cerebras.ai/v1"),
    "moonshot": _compatible("moonshot_ai", "https://api.moonshot.ai/v1", "api.moonshot.cn"),
    "zai": _compatible(
        "z_ai",
        "https://api.z.ai/api/paas/v4",
        more=(*_messages("/api/anthropic"), *_chat("/api/coding/paas/v4")),
    ),
    "minimax": _compatible("minimax", "https://api.minimax.io/v1", "api.minimaxi.com"),
    "nvidia": _compatible("nvidia", "https://integrate.api.nvidia.com/v1"),
    "huggingface": _compatible("huggingface", "https://router.huggingface.co/v1"),
}
"""Every API by the name that stands for it in a path (``/deepseek/chat/completions``)."""
