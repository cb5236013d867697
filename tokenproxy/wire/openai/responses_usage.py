"""What a response bills beside the model's own tokens: searches, images, drawings.

Source: the SDK's ``Response.tool_usage`` ("usage reported by hosted tools,
separate from base model usage") and ``svg_usage`` of an image's item.

* ``web_search.num_requests`` counts billable searches.
* ``image_gen`` sums the images' tokens; they are the image model's, which only
  the list of tools names, if anything does. A family without use counts zeros,
  which make no part. Output that is not split is all image.
* ``svg_usage`` is the use of the model that wrote the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire.openai.fields import RESPONSES_FIELDS
from tokenproxy.wire.openai.merge import lookup
from tokenproxy.wire.openai.responses_shapes import Tool
from tokenproxy.wire.openai.usage import Bill, bill
from tokenproxy.wire.words import count, word

ROLE: Final = "tool_image"

WEB_SEARCHES: Final = "web_search_requests"
FILE_SEARCHES: Final = "file_search_requests"
"""Names in ``server_tool_use``."""

UNNAMED_IMAGE_MODEL: Final = "image_generation"
"""Stands for an image model that the response does not name: no price list knows it."""

_IMAGE_FIELDS: Final = msgspec.structs.replace(
    RESPONSES_FIELDS, reasoning=(("reasoning_tokens",),), cache_read=(("cached_tokens",),)
)


def searches(tool_usage: Mapping[str, Any] | None) -> int | None:
    """Billable web searches; None if the response does not say."""
    return count(lookup(tool_usage or {}, ("web_search", "num_requests")))


def image_bill(tool_usage: Mapping[str, Any] | None, tools: Iterable[Tool]) -> Bill | None:
    """What the images made by a tool of the provider's are billed as; None if there are none."""
    images = lookup(tool_usage or {}, ("image_gen",))
    if not isinstance(images, dict):
        return None
    if not count(images.get("input_tokens")) and not count(images.get("output_tokens")):
        return None
    named = (word(tool.model) for tool in tools if tool.type == "image_generation")
    model = next((name for name in named if name is not None), UNNAMED_IMAGE_MODEL)
    return image_model_bill(images, model=model, role=ROLE)


def image_model_bill(
    usage: Mapping[str, Any], *, model: str | None = None, role: str = "main"
) -> Bill:
    """What an image model's use is billed as."""
    return bill(_with_details(usage), _IMAGE_FIELDS, model=model, role=role)


def svg_bill(svg_usage: Mapping[str, Any]) -> Bill:
    """What the writing of an SVG image is billed as."""
    model = word(svg_usage.get("model")) or UNNAMED_IMAGE_MODEL
    return bill(svg_usage, _IMAGE_FIELDS, model=model, role=ROLE)


def _with_details(usage: Mapping[str, Any]) -> dict[str, Any]:
    """An image model's usage with its details where every usage has them."""
    made = dict(usage)
    cached = lookup(usage, ("cached_tokens_details", "cached_image_tokens"))
    if cached is not None:
        made["input_tokens_details"] = {
            **_object(usage.get("input_tokens_details")),
            "cached_tokens_details": {"image_tokens": cached},
        }
    if not isinstance(usage.get("output_tokens_details"), dict):
        made["output_tokens_details"] = {"image_tokens": usage.get("output_tokens")}
    return made


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
