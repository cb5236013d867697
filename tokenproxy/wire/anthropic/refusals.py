"""Which refusals Anthropic charges for, as data.

Source: "Refusals and fallback", section "How refusals are billed", and the
column "Billed before any output" of its category table (September 2026). The
page says that the billed categories may change; then this table changes.

* A refusal in mid-output is billed like any other response.
* One before any output is billed in some categories only. Token counts stand
  in ``usage`` either way.
* In a fallback chain each attempt follows the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping

BILLED_BEFORE_OUTPUT: Mapping[str | None, bool] = {
    "cyber": False,
    "bio": True,
    "frontier_llm": True,
    "reasoning_extraction": True,
    "general_harms": False,
    None: False,
}
"""Category of a refusal before any output -> whether it is billed. None: it names no category."""

BILLED_IN_OTHER_CATEGORIES = False

PLACEHOLDER_OUTPUT = 16
"""Output tokens below this may stand beside an empty ``content`` without there being output:
refusals before any output were seen with 0 and 1, placeholders of ``message_start`` with 1 to 8."""


def billed_before_output(category: str | None) -> bool:
    """Whether a refusal that came before any output is charged."""
    return BILLED_BEFORE_OUTPUT.get(category, BILLED_IN_OTHER_CATEGORIES)
