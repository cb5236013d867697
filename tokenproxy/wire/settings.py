"""Settings of a request that only telemetry tells: the GenAI conventions name them.

None of them is needed to account for a call, and none is content. Read of Anthropic's,
OpenAI's (and whoever speaks its language) and Google's requests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.words import word

_MAX_INT = 2**63

_OUTPUT_TYPES = {
    "text": "text",
    "text/plain": "text",
    "json_object": "json",
    "json_schema": "json",
    "application/json": "json",
    "image": "image",
    "audio": "speech",
}
"""A provider's word for a format or a modality -> ``gen_ai.output.type``."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As asked for; None where the request does not say."""

    choice_count: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    output_type: str | None = None
    """``text``, ``json``, ``image``, ``speech``."""
    reasoning_level: str | None = None
    """The provider's word: ``low``, ``high``, ..."""
    previous_response_id: str | None = None
    service_tier: str | None = None
    dimensions: int | None = None
    """Of embeddings."""
    encoding_formats: tuple[str, ...] = ()
    """Likewise."""


NOTHING = Settings()


def output_type(*asked: str | None) -> str | None:
    """The convention's word for the first of these formats or modalities that has one."""
    for each in asked:
        if each is not None and (known := _OUTPUT_TYPES.get(each.lower())) is not None:
            return known
    return None


def whole(value: Any) -> int | None:
    """``value`` if it is a whole number that 64 bits hold, else None: a seed may be negative."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_MAX_INT <= value < _MAX_INT else None


def formats(value: str | list[str] | None) -> tuple[str, ...]:
    """One format or a list of them."""
    asked = [value] if isinstance(value, str) else value or []
    return tuple(known for each in asked[:8] if (known := word(each)) is not None)
