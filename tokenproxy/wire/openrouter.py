"""OpenRouter's accents.

Every response has ``usage.cost``, in credits that are US dollars ("Usage
accounting"). With a key of the user's own (``is_byok``) that is OpenRouter's fee
alone and the upstream bills ``cost_details.upstream_inference_cost`` itself; both
together are what the response costs, and a note says so. The input includes
cache reads and writes, the output reasoning. Web searches are counted in
``server_tool_use_details``, formerly ``server_tool_use``. A stream begins with
comments, and its usage comes in the last chunk unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.openai.accent import Accent, Cost, amount
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.fields import CHAT_FIELDS, RESPONSES_FIELDS
from tokenproxy.wire.openai.merge import Path
from tokenproxy.wire.openai.responses import OpenAIResponses
from tokenproxy.wire.openai.responses_reading import Accent as ResponsesAccent

TOOL_TABLES: Final[tuple[Path, ...]] = (("server_tool_use_details",), ("server_tool_use",))
SUMS: Final = frozenset({"tool_calls_requested", "tool_calls_executed"})
_UPSTREAM: Final = ("cost_details", "upstream_inference_cost")


def cost(usage: Mapping[str, Any]) -> Cost:
    """What a response costs, the upstream's own bill included; for every API of OpenRouter's."""
    fee = amount(usage, ("cost",))
    if usage.get("is_byok") is not True:
        return Cost(fee)
    upstream = amount(usage, _UPSTREAM)
    known = None if fee is None or upstream is None else fee + upstream
    return Cost(known, (notes.BYOK,))


_FIELDS: Final = msgspec.structs.replace(CHAT_FIELDS, server_tool_tables=TOOL_TABLES, no_tools=SUMS)

CHAT: Dialect = ChatCompletions(Accent(name="openrouter.chat", fields=_FIELDS, cost=cost))

RESPONSES: Dialect = OpenAIResponses(
    "openrouter.responses",
    ResponsesAccent(
        fields=msgspec.structs.replace(
            RESPONSES_FIELDS, server_tool_tables=TOOL_TABLES, no_tools=SUMS
        ),
        cost=cost,
    ),
)
