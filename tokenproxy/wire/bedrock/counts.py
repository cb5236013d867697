"""The shapes of usage on Bedrock, as a table.

Each vendor's answer has counts of its own making; Converse, the metrics at the
end of a stream and the response's headers have AWS's. A shape is known by the
names of its counts. Where they come from: the vendors' pages under "Inference
request parameters and response fields" of the Bedrock guide; ``TokenUsage`` in
AWS's service model; for metrics and headers the code of those who read them.

All count input without cache reads and writes; but those who answer in OpenAI's
way (gpt-oss, Qwen, DeepSeek, Mistral, Jamba) are read by the rules of its chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.usage import Tally, plus, settle_cache_split
from tokenproxy.wire.openai import usage as chat
from tokenproxy.wire.openai.usage import Bill
from tokenproxy.wire.usage import UsagePart
from tokenproxy.wire.words import count, word

METRICS: Final = "amazon-bedrock-invocationMetrics"
"""The key of AWS's own counts, in the last event of any model's stream."""

HEADERS: Final = "x-amzn-bedrock-"
"""The beginning of AWS's headers."""


_MAX_DIGITS: Final = 16
"""Of a count in a header."""


class Shape(NamedTuple):
    """Names of one shape's counts."""

    input: str
    output: str
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()


SHAPES: Final = (
    # Converse, Amazon Nova
    Shape(
        "inputTokens",
        "outputTokens",
        ("cacheReadInputTokens", "cacheReadInputTokenCount"),
        ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    ),
    # metrics
    Shape(
        "inputTokenCount",
        "outputTokenCount",
        ("cacheReadInputTokenCount",),
        ("cacheWriteInputTokenCount",),
    ),
    # headers
    Shape(
        f"{HEADERS}input-token-count",
        f"{HEADERS}output-token-count",
        (f"{HEADERS}cache-read-input-token-count",),
        (f"{HEADERS}cache-write-input-token-count",),
    ),
    # Meta Llama
    Shape("prompt_token_count", "generation_token_count"),
    # Amazon Titan, its stream
    Shape("inputTextTokenCount", "totalOutputTextTokenCount"),
    # Cohere, Writer
    Shape("input_tokens", "output_tokens"),
)


def counts_of(usage: Mapping[str, Any]) -> Tally | None:
    """The counts of a usage object in any of the shapes, or None if it is of none."""
    for shape in SHAPES:
        if usage.get(shape.input) is not None or usage.get(shape.output) is not None:
            return _read(usage, shape)
    return None


def bill(usage: Mapping[str, Any], *, tier: str | None, speed: str | None) -> Bill:
    """The part that a usage object of any shape is billed as, and what is odd about it."""
    counts = counts_of(usage)
    if counts is None:
        return chat.bill(usage, service_tier=tier)
    said = [notes.BAD_COUNT] if _has_bad_counts(usage) else []
    total = count(usage.get("totalTokens"))
    balanced = total is None or _adds_up(counts, total)
    if not balanced:
        said.append(notes.TOTAL_MISMATCH)
    said += settle_cache_split(counts, Tally())
    part = UsagePart(
        uncached_input_tokens=counts.uncached,
        cache_read_input_tokens=counts.cache_read,
        cache_creation_input_tokens=counts.cache_creation,
        cache_creation_5m_input_tokens=counts.cache_5m,
        cache_creation_1h_input_tokens=counts.cache_1h,
        output_tokens=counts.output,
        service_tier=tier,
        speed=speed,
    )
    return Bill(part, tuple(said), balanced)


def header_counts(headers: Mapping[str, str]) -> dict[str, int]:
    """AWS's own counts among a response's headers, by their names."""
    return {
        name: int(value)
        for name, value in headers.items()
        if name.startswith(HEADERS)
        and name.endswith("-token-count")
        and value.isascii()
        and value.isdigit()
        and len(value) <= _MAX_DIGITS
        and count(int(value)) is not None
    }


def tier_of(headers: Mapping[str, str]) -> str | None:
    """The tier that served, where the headers tell it."""
    return word(headers.get(f"{HEADERS}service-tier"))


def speed_of(latency: str | None) -> str | None:
    """The speed that is billed, by AWS's ``performanceConfig.latency``."""
    return None if latency == "standard" else word(latency)


def _read(usage: Mapping[str, Any], shape: Shape) -> Tally:
    counts = Tally(
        uncached=count(usage.get(shape.input)),
        cache_read=_first(usage, shape.cache_read),
        cache_creation=_first(usage, shape.cache_write),
        output=count(usage.get(shape.output)),
    )
    _split_writes(counts, usage.get("cacheDetails"))
    return counts


def _has_bad_counts(usage: Mapping[str, Any]) -> bool:
    """Whether a token count is there but is no count."""
    names = {name for shape in SHAPES for name in _names(shape)}
    return any(usage.get(name) is not None and count(usage[name]) is None for name in names)


def _names(shape: Shape) -> tuple[str, ...]:
    return shape.input, shape.output, *shape.cache_read, *shape.cache_write


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((n for name in names if (n := count(usage.get(name))) is not None), None)


def _split_writes(counts: Tally, details: Any) -> None:
    """Cache writes by time to live: Converse says that in ``cacheDetails`` alone."""
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, dict):
            continue
        tokens = count(detail.get("inputTokens"))
        if detail.get("ttl") == "5m":
            counts.cache_5m = plus(counts.cache_5m, tokens)
        elif detail.get("ttl") == "1h":
            counts.cache_1h = plus(counts.cache_1h, tokens)
    if counts.cache_creation is None:
        counts.cache_creation = plus(counts.cache_5m, counts.cache_1h)


def _adds_up(counts: Tally, total: int) -> bool:
    """Whether a total fits; AWS has counted the cache into it and left it out."""
    plain = (counts.uncached or 0) + (counts.output or 0)
    return total in (plain, plain + (counts.cache_read or 0) + (counts.cache_creation or 0))
