"""Where OpenAI, and those who speak its language with an accent, state which count: data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tokenproxy.wire.openai.merge import Path

Nesting = Literal["inside", "outside", "always_outside"]
"""Where a count stands: ``inside`` the number that should hold it, or ``outside``, each unless
the total tells otherwise; or ``always_outside``, and the total may leave it out."""


class Beside(msgspec.Struct, frozen=True):
    """A count that a provider may state beside the input or the output that it belongs to."""

    path: Path
    side: Literal["input", "output"]
    nesting: Nesting = "inside"
    modality: str | None = None
    """Its name in ``modality_tokens``, if it has a price of its own."""


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider states what. Of several paths the first that has a count holds."""

    input: tuple[Path, ...]
    input_sum: tuple[Path, ...] = ()
    """Kinds of input that add up to it: they stand in for it and check it."""
    output: tuple[Path, ...]
    total: Path = ("total_tokens",)
    rest_is_output: bool = False
    """What the total leaves is the output, where that is not stated."""
    rest_is_reasoning: bool = False
    """What the total has beyond all that is stated is reasoning that is not."""
    cache_read: tuple[Path, ...]
    cache_write: tuple[Path, ...]
    cache_write_30m: tuple[Path, ...] = ()
    cache_write_12h: tuple[Path, ...] = ()
    reasoning: tuple[Path, ...]
    reasoning_nesting: Nesting = "inside"
    input_details: str
    output_details: str
    beside: tuple[Beside, ...] = ()
    server_tools: Mapping[str, Path] = msgspec.field(default_factory=dict)
    """Requests by the name that the tool goes by here."""
    server_tool_tables: tuple[Path, ...] = ()
    """Objects whose keys are tools and whose values are requests; the first that is there."""
    no_tools: frozenset[str] = frozenset()
    """Keys of such objects that are none: sums."""


def _details(details: str, *names: str) -> tuple[Path, ...]:
    return tuple((details, name) for name in names)


CHAT_FIELDS: Final = Fields(
    input=(("prompt_tokens",),),
    output=(("completion_tokens",),),
    # Behind OpenAI's own names those of its imitators: Moonshot's, LiteLLM's, DeepSeek's relays',
    # Alibaba's.
    cache_read=(
        ("prompt_tokens_details", "cached_tokens"),
        ("cached_tokens",),
        ("cache_read_input_tokens",),
        ("prompt_cache_hit_tokens",),
    ),
    cache_write=(
        *_details(
            "prompt_tokens_details",
            "cache_write_tokens",
            "cache_creation_tokens",
            "cache_creation_input_tokens",
        ),
        ("cache_creation_input_tokens",),
    ),
    cache_write_30m=(("prompt_tokens_details", "cache_write_tokens_details", "ttl_30m_tokens"),),
    cache_write_12h=(("prompt_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"),),
    reasoning=(("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    input_details="prompt_tokens_details",
    output_details="completion_tokens_details",
)
"""Chat Completions."""

RESPONSES_FIELDS: Final = Fields(
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=_details("input_tokens_details", "cached_tokens"),
    cache_write=_details("input_tokens_details", "cache_write_tokens"),
    cache_write_30m=(("input_tokens_details", "cache_write_tokens_details", "ttl_30m_tokens"),),
    cache_write_12h=(("input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"),),
    reasoning=_details("output_tokens_details", "reasoning_tokens"),
    input_details="input_tokens_details",
    output_details="output_tokens_details",
)
"""The Responses API, images, transcriptions."""
