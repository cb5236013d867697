"""What the GenAI conventions demand, copied by hand from their text, for both dialects.

* 1.41: open-telemetry/semantic-conventions, tag v1.41.1: docs/gen-ai/gen-ai-spans.md
  (Inference, Execute tool), gen-ai-agent-spans.md (Invoke agent internal span),
  gen-ai-metrics.md.
* genai-main: open-telemetry/semantic-conventions-genai: docs/gen-ai/client-inference.md
  @024a4f94, gen-ai-token-metrics.md @066d4a7f, gen-ai-metrics.md @004902b8,
  non-normative/migration.md @32c328e8 (invoke_agent internal: what was removed).

Independent of tokenproxy.telemetry.semconv on purpose: it is what that is tested with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STRINGS = "string[]"


@dataclass(frozen=True)
class SpanRule:
    """A span's name starts with ``operation``; ``noun`` is the attribute that follows."""

    kind: str
    operation: str | None
    noun: str
    required: frozenset[str]
    attributes: dict[str, str]


@dataclass(frozen=True)
class MetricRule:
    instrument: str
    unit: str
    required: frozenset[str]
    optional: frozenset[str]
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rules:
    inference: SpanRule
    agent: SpanRule
    tool: SpanRule
    metrics: dict[str, MetricRule]
    token_types: frozenset[str] = field(default_factory=frozenset)


_REQUEST = {
    "gen_ai.request.choice.count": "int",
    "gen_ai.request.frequency_penalty": "double",
    "gen_ai.request.max_tokens": "int",
    "gen_ai.request.presence_penalty": "double",
    "gen_ai.request.seed": "int",
    "gen_ai.request.stop_sequences": STRINGS,
    "gen_ai.request.temperature": "double",
    "gen_ai.request.top_p": "double",
}
_INFERENCE = {
    "gen_ai.operation.name": "string",
    "gen_ai.provider.name": "string",
    "error.type": "string",
    "gen_ai.conversation.id": "string",
    "gen_ai.output.type": "string",
    "gen_ai.request.model": "string",
    "gen_ai.request.stream": "boolean",
    "server.address": "string",
    "server.port": "int",
    "gen_ai.response.finish_reasons": STRINGS,
    "gen_ai.response.id": "string",
    "gen_ai.response.model": "string",
    "gen_ai.response.time_to_first_chunk": "double",
    "gen_ai.usage.cache_read.input_tokens": "int",
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    "gen_ai.usage.reasoning.output_tokens": "int",
    **_REQUEST,
}
_AGENT = {
    "gen_ai.operation.name": "string",
    "error.type": "string",
    "gen_ai.agent.description": "string",
    "gen_ai.agent.name": "string",
    "gen_ai.conversation.id": "string",
    "gen_ai.data_source.id": "string",
    "gen_ai.output.type": "string",
    "gen_ai.request.model": "string",
    "gen_ai.response.finish_reasons": STRINGS,
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    **_REQUEST,
}
_TOOL = SpanRule(
    kind="INTERNAL",
    operation="execute_tool",
    noun="gen_ai.tool.name",
    required=frozenset({"gen_ai.operation.name", "gen_ai.tool.name"}),
    attributes={
        "gen_ai.operation.name": "string",
        "gen_ai.tool.name": "string",
        "error.type": "string",
        "gen_ai.tool.call.id": "string",
        "gen_ai.tool.description": "string",
        "gen_ai.tool.type": "string",
    },
)

TOKEN_BOUNDS = (
    1,
    4,
    16,
    64,
    256,
    1024,
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216,
    67108864,
)
DURATION_BOUNDS = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
)

_WHO = frozenset({"gen_ai.operation.name", "gen_ai.provider.name"})
_MORE = frozenset(
    {"gen_ai.request.model", "gen_ai.response.model", "server.address", "server.port"}
)
_ERROR = frozenset({"error.type"})
_MODALITY = frozenset({"gen_ai.token.modality"})

_DURATION = MetricRule("histogram", "s", _WHO, _MORE | _ERROR, DURATION_BOUNDS)
_FIRST_CHUNK = MetricRule("histogram", "s", _WHO, _MORE, DURATION_BOUNDS)
_USAGE = MetricRule("counter", "{token}", _WHO | _MODALITY, _MORE)
_PER_OPERATION = MetricRule("histogram", "{token}", _WHO, _MORE | _ERROR, TOKEN_BOUNDS)

V1_41 = Rules(
    inference=SpanRule(
        kind="CLIENT",
        operation=None,
        noun="gen_ai.request.model",
        required=_WHO,
        attributes={
            **_INFERENCE,
            "gen_ai.request.top_k": "double",
            "gen_ai.usage.cache_creation.input_tokens": "int",
        },
    ),
    agent=SpanRule(
        kind="INTERNAL",
        operation="invoke_agent",
        noun="gen_ai.agent.name",
        required=_WHO,
        attributes={
            **_AGENT,
            "gen_ai.provider.name": "string",
            "gen_ai.agent.id": "string",
            "gen_ai.agent.version": "string",
            "gen_ai.usage.cache_creation.input_tokens": "int",
            "gen_ai.usage.cache_read.input_tokens": "int",
        },
    ),
    tool=_TOOL,
    metrics={
        "gen_ai.client.token.usage": MetricRule(
            "histogram", "{token}", _WHO | {"gen_ai.token.type"}, _MORE, TOKEN_BOUNDS
        ),
        "gen_ai.client.operation.duration": _DURATION,
        "gen_ai.client.operation.time_to_first_chunk": _FIRST_CHUNK,
    },
    token_types=frozenset({"input", "output"}),
)

GENAI_MAIN = Rules(
    inference=SpanRule(
        kind="CLIENT",
        operation=None,
        noun="gen_ai.request.model",
        required=_WHO,
        attributes={
            **_INFERENCE,
            "gen_ai.request.top_k": "int",
            "gen_ai.usage.cache_write.input_tokens": "int",
            "gen_ai.request.reasoning.level": "string",
            "gen_ai.request.previous_response.id": "string",
            "gen_ai.conversation.compacted": "boolean",
            "gen_ai.prompt.name": "string",
            "gen_ai.prompt.version": "string",
        },
    ),
    agent=SpanRule(
        kind="INTERNAL",
        operation="invoke_agent",
        noun="gen_ai.agent.name",
        required=frozenset({"gen_ai.operation.name"}),
        attributes=_AGENT,
    ),
    tool=_TOOL,
    metrics={
        "gen_ai.client.inference.duration": _DURATION,
        "gen_ai.client.operation.duration": _DURATION,
        "gen_ai.client.inference.time_to_first_chunk": _FIRST_CHUNK,
        "gen_ai.client.inference.usage.input_tokens": _USAGE,
        "gen_ai.client.inference.usage.output_tokens": _USAGE,
        "gen_ai.client.inference.usage.cache_read.input_tokens": _USAGE,
        "gen_ai.client.inference.usage.cache_write.input_tokens": _USAGE,
        "gen_ai.client.inference.usage.reasoning.output_tokens": _USAGE,
        "gen_ai.client.inference.operation.input_tokens": _PER_OPERATION,
        "gen_ai.client.inference.operation.output_tokens": _PER_OPERATION,
        "gen_ai.invoke_agent.duration": MetricRule(
            "histogram",
            "s",
            frozenset({"gen_ai.operation.name"}),
            frozenset({"gen_ai.agent.name", "error.type"}),
        ),
        "gen_ai.execute_tool.duration": MetricRule(
            "histogram",
            "s",
            frozenset({"gen_ai.operation.name", "gen_ai.tool.name"}),
            frozenset({"error.type", "gen_ai.tool.type"}),
        ),
    },
)

PROVIDERS = frozenset(
    {
        "anthropic",
        "aws.bedrock",
        "azure.ai.inference",
        "azure.ai.openai",
        "cohere",
        "deepseek",
        "gcp.gemini",
        "gcp.gen_ai",
        "gcp.vertex_ai",
        "groq",
        "ibm.watsonx.ai",
        "mistral_ai",
        "openai",
        "perplexity",
        "x_ai",
    }
)
