"""How each provider of OpenAI's chat shape states what it bills.

Each function makes a ``usage`` object of tokens that are already the
provider's (see ``billed``). Sources: the providers' SDKs; where one's numbers
stand apart, its function says how.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from tokenproxy.simulator.messages import Json, Tokens

Stated = Callable[[Tokens], Json]

TICKS = Decimal("1e-10")
"""US dollars of one of xAI's ticks."""
SEARCHES = 1
"""Searches behind an answer of Perplexity's."""
CITED = 120
"""Citation tokens behind an answer of Perplexity's."""
WRITES_APART = frozenset({"openai", "azure", "foundry", "copilot", "openrouter", "bedrock"})
"""Flavours that count cache writes; elsewhere a write is plain input."""
CACHELESS = frozenset({"perplexity", "ollama"})
"""Flavours that say nothing of a cache."""
STATES_COST = frozenset({"xai", "openrouter", "perplexity"})
REASONING_STATED = frozenset(
    {
        "openai",
        "azure",
        "foundry",
        "copilot",
        "openrouter",
        "deepseek",
        "xai",
        "groq",
        "perplexity",
        "google",
    }
)


def billed(tokens: Tokens, flavour: str) -> Tokens:
    """``tokens`` as the provider of ``flavour`` can bill them."""
    if flavour in WRITES_APART:
        own = tokens.written_for_30m()
    elif flavour in CACHELESS:
        own = tokens.uncached()
    else:
        own = tokens.written_free()
    reasoning = own.thinking or 0 if flavour in REASONING_STATED else None
    own = msgspec.structs.replace(own, thinking=reasoning)
    if flavour == "perplexity":
        own = msgspec.structs.replace(own, output=own.output + CITED)
    if flavour in STATES_COST:
        own = msgspec.structs.replace(own, cost_usd=cost(own))
    return own


def sofar(tokens: Tokens, flavour: str, words: int) -> Tokens:
    """``tokens`` after so many words of the answer, where each chunk states them."""
    if flavour != "perplexity":
        return msgspec.structs.replace(tokens, output=(tokens.thinking or 0) + words)
    told = msgspec.structs.replace(tokens, output=CITED + words, thinking=0)
    return msgspec.structs.replace(told, cost_usd=cost(told))


def cost(tokens: Tokens) -> Decimal:
    """A price in US dollars: 1, 0.1, 1.25 and 4 a million of input, read, write and output."""
    micro = (
        tokens.input
        + Decimal("0.1") * tokens.cache_read
        + Decimal("1.25") * tokens.cache_write
        + 4 * tokens.output
    )
    return micro / 1_000_000


def openai(tokens: Tokens) -> Json:
    """All input in ``prompt_tokens``, cached and written within; reasoning within completion."""
    return {
        "prompt_tokens": tokens.all_input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.all_input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.thinking or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def plain(tokens: Tokens) -> Json:
    """The plain three counts."""
    return {
        "prompt_tokens": tokens.all_input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.all_input + tokens.output,
    }


def compatible(tokens: Tokens) -> Json:
    """Those three, and the cached part of the input."""
    return plain(tokens) | {"prompt_tokens_details": {"cached_tokens": tokens.cache_read}}


def deepseek(tokens: Tokens) -> Json:
    """Hits and misses beside the prompt's total; a miss costs no write."""
    return compatible(tokens) | {
        "completion_tokens_details": {"reasoning_tokens": tokens.thinking or 0},
        "prompt_cache_hit_tokens": tokens.cache_read,
        "prompt_cache_miss_tokens": tokens.input,
    }


def google(tokens: Tokens) -> Json:
    """Thoughts outside ``completion_tokens``; only the total has them."""
    thoughts = tokens.thinking or 0
    counts = plain(tokens) | {"completion_tokens": tokens.output - thoughts}
    return counts | {"prompt_tokens_details": {"cached_tokens": tokens.cache_read}}


def xai(tokens: Tokens) -> Json:
    """Reasoning outside ``completion_tokens``, and a cost in ticks."""
    reasoning = tokens.thinking or 0
    return {
        "prompt_tokens": tokens.all_input,
        "completion_tokens": tokens.output - reasoning,
        "total_tokens": tokens.all_input + tokens.output,
        "prompt_tokens_details": {
            "text_tokens": tokens.all_input,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": tokens.cache_read,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
        "cost_in_usd_ticks": int((tokens.cost_usd or Decimal()) / TICKS),
    }


def groq(tokens: Tokens) -> Json:
    """Times beside the counts."""
    return compatible(tokens) | {
        "queue_time": 0.037,
        "prompt_time": 0.006,
        "completion_time": 0.463,
        "total_time": 0.469,
        "completion_tokens_details": {"reasoning_tokens": tokens.thinking or 0},
    }


def openrouter(tokens: Tokens) -> Json:
    """OpenAI's counts and a cost in US dollars."""
    usd = float(tokens.cost_usd or 0)
    return openai(tokens) | {
        "cost": usd,
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": 0,
            "upstream_inference_completions_cost": usd,
        },
    }


def perplexity(tokens: Tokens) -> Json:
    """Reasoning and citations outside completion and total; searches counted; a cost."""
    reasoning = tokens.thinking or 0
    visible = tokens.output - reasoning - CITED
    return {
        "prompt_tokens": tokens.all_input,
        "completion_tokens": visible,
        "total_tokens": tokens.all_input + visible,
        "citation_tokens": CITED,
        "reasoning_tokens": reasoning,
        "num_search_queries": SEARCHES,
        "search_context_size": "low",
        "cost": {"total_cost": float(tokens.cost_usd or 0)},
    }


STATED: dict[str, Stated] = {
    "openai": openai,
    "azure": openai,
    "foundry": openai,
    "copilot": openai,
    "bedrock": openai,
    "deepseek": deepseek,
    "google": google,
    "xai": xai,
    "groq": groq,
    "openrouter": openrouter,
    "perplexity": perplexity,
    "ollama": plain,
}
"""By flavour; any other is ``compatible``."""


def usage(tokens: Tokens, flavour: str) -> Json:
    """The ``usage`` object of ``flavour``."""
    return STATED.get(flavour, compatible)(tokens)
