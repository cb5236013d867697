"""Perplexity's accent of chat completions.

``reasoning_tokens`` and ``citation_tokens`` are billed beside
``completion_tokens``, each at its own price, and ``total_tokens`` leaves them out:
33 + 11,395 = 11,428 beside 193,947 of reasoning and 19,028 of citations
("Sonar deep research", whose cost adds up only so). ``num_search_queries`` are
searches of the web. ``cost.total_cost`` is what the response costs. Every chunk of a
stream has the usage so far.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.openai.accent import Accent, stated_cost
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.fields import CHAT_FIELDS, Beside

_FIELDS: Final = msgspec.structs.replace(
    CHAT_FIELDS,
    reasoning=(("reasoning_tokens",), *CHAT_FIELDS.reasoning),
    reasoning_nesting="always_outside",
    beside=(Beside(("citation_tokens",), "output", "always_outside", "output_citation"),),
    server_tools={"web_search_requests": ("num_search_queries",)},
)

CHAT: Dialect = ChatCompletions(
    Accent(name="perplexity.chat", fields=_FIELDS, cost=stated_cost(("cost", "total_cost")))
)
