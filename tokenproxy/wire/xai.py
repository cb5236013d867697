"""xAI's accents.

In chat completions ``completion_tokens`` leaves reasoning out: ``total_tokens``
has it (133 + 262 + 491 = 886). Should that change, the total tells. Each response
states what it cost, all discounts and tools included, in ``cost_in_usd_ticks`` of
1e-10 US dollars ("Cost tracking"). Tools that ran on xAI's side stand in
``server_side_tool_usage_details``, live search's sources in ``num_sources_used``.
Errors are ``{"code": "...", "error": "a sentence"}``.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tokenproxy.wire.dialect import Dialect, SocketDialect
from tokenproxy.wire.openai.accent import Accent, stated_cost
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.fields import CHAT_FIELDS, RESPONSES_FIELDS
from tokenproxy.wire.openai.responses import OpenAIResponses
from tokenproxy.wire.openai.responses_reading import Accent as ResponsesAccent

TICKS_PER_USD: Final = 10**10
COST: Final = stated_cost(("cost_in_usd_ticks",), TICKS_PER_USD)
"""For every API of xAI's."""

_FIELDS: Final = msgspec.structs.replace(
    CHAT_FIELDS,
    # The last is the name that its first models had (2025).
    cache_read=(*CHAT_FIELDS.cache_read, ("cached_prompt_text_tokens",)),
    reasoning_nesting="outside",
    server_tools={"num_sources_used": ("num_sources_used",)},
    server_tool_tables=(("server_side_tool_usage_details",),),
)

CHAT: Dialect = ChatCompletions(Accent(name="xai.chat", fields=_FIELDS, cost=COST))

RESPONSES: SocketDialect = OpenAIResponses(
    "xai.responses",
    ResponsesAccent(
        # Reasoning is in the output here; the tools stand where chat has them.
        fields=msgspec.structs.replace(
            RESPONSES_FIELDS,
            server_tools=_FIELDS.server_tools,
            server_tool_tables=_FIELDS.server_tool_tables,
        ),
        cost=COST,
    ),
)
