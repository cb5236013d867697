"""Google's request bodies: the settings and links that accounting needs, never content.

The rules (API reference; gemini-cli, ``code_assist/converter.ts``):

* The model stands in the path. Code Assist has it in the body, beside a
  ``request`` that holds what is the whole body elsewhere, and names the user's
  prompt (``user_prompt_id``) and session (``request.session_id``).
* A function's result has the call's id where the model gave one, and says
  ``error`` if the function failed ("Function calling").
* Tools that Google runs (search, code) are in the same list as the client's;
  only the client's make the model an agent.
"""

from __future__ import annotations

import msgspec

from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.google.shapes import CONTENT, Content
from tokenproxy.wire.lenient import Lenient, array_items
from tokenproxy.wire.settings import Settings, output_type, whole
from tokenproxy.wire.usage import RequestFacts, ToolResult
from tokenproxy.wire.words import count, word

_MAX_STOP_SEQUENCES = 64


class ThinkingConfig(msgspec.Struct, rename="camel"):
    """``thinkingConfig`` of a ``generationConfig``."""

    thinking_level: str | None = None


class GenerationConfig(msgspec.Struct, rename="camel"):
    """``generationConfig``."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    response_mime_type: str | None = None
    response_modalities: list[str] | None = None
    thinking_config: ThinkingConfig | None = None


class Tool(msgspec.Struct, rename="camel"):
    """One of ``tools``."""

    function_declarations: msgspec.Raw = msgspec.Raw()


class ContentRequest(msgspec.Struct, rename="camel"):
    """A request for content."""

    contents: msgspec.Raw = msgspec.Raw()
    generation_config: GenerationConfig | None = None
    tools: list[Tool] | None = None
    session_id: str | None = msgspec.field(default=None, name="session_id")
    model: str | None = None


class RequestEnvelope(ContentRequest):
    """The same, or Code Assist's envelope around it."""

    request: ContentRequest | None = None
    user_prompt_id: str | None = msgspec.field(default=None, name="user_prompt_id")


_ENVELOPE = Lenient(RequestEnvelope)


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded body; what is no JSON object is ``malformed``."""
    envelope = _ENVELOPE.decode(body)
    if envelope is None:
        return RequestFacts(malformed=True)
    request = envelope.request or envelope
    contents = bytes(request.contents)
    return with_settings(
        RequestFacts(
            model=model_name(envelope.model) or model_name(request.model),
            session_id=word(request.session_id),
            turn_id=word(envelope.user_prompt_id),
            offers_tools=offers_tools(request.tools),
            tool_results=_last_tool_results(contents),
            prompt_digest=prompt_digest(contents),
        ),
        request.generation_config,
    )


def with_settings(facts: RequestFacts, config: GenerationConfig | None) -> RequestFacts:
    """``facts`` with the settings of a ``generationConfig``."""
    if config is None:
        return facts
    stops = [stop for text in config.stop_sequences or [] if (stop := word(text)) is not None]
    return msgspec.structs.replace(
        facts,
        max_tokens=count(config.max_output_tokens),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=count(config.top_k),
        stop_sequences=tuple(stops[:_MAX_STOP_SEQUENCES]),
        settings=_settings(config),
    )


def _settings(config: GenerationConfig) -> Settings:
    kinds = [kind for kind in config.response_modalities or () if kind.lower() != "text"]
    thinking = config.thinking_config or ThinkingConfig()
    return Settings(
        choice_count=count(config.candidate_count),
        seed=whole(config.seed),
        frequency_penalty=config.frequency_penalty,
        presence_penalty=config.presence_penalty,
        output_type=output_type(*kinds, config.response_mime_type),
        reasoning_level=word(thinking.thinking_level),
    )


def model_name(name: str | None) -> str | None:
    """A model's own name: the last segment of ``models/…`` or of a publisher's path."""
    known = word(name)
    return word(known.rpartition("/")[2]) if known is not None else None


def offers_tools(tools: list[Tool] | None) -> bool:
    """Whether there are functions of the client's among the tools."""
    return any(array_items(tool.function_declarations) for tool in tools or [])


def tool_results(content: Content) -> list[ToolResult]:
    """Results of functions among a content's parts."""
    found: list[ToolResult] = []
    for part in content.parts or []:
        answer = part.function_response
        identity = word(answer.id) if answer is not None else None
        if answer is not None and identity is not None:
            failed = answer.response is not None and answer.response.error is not None
            found.append(ToolResult(identity, is_error=failed))
    return found


def _last_tool_results(contents: bytes) -> tuple[ToolResult, ...]:
    """Results behind the model's last turn: those before it were answered already."""
    found: list[ToolResult] = []
    for raw in reversed(array_items(contents) or []):
        content = CONTENT.decode(raw)
        if content is None or content.role == "model":
            break
        found[:0] = tool_results(content)
    return tuple(found)
