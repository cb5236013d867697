"""DeepSeek's accent of chat completions.

``prompt_tokens = prompt_cache_hit_tokens + prompt_cache_miss_tokens`` ("Context
caching"). Hits are cache reads; misses are ordinary input, and no cache write:
filling the cache costs nothing. ``prompt_tokens_details.cached_tokens`` repeats
the hits where it is sent, and then comes first. Reasoning is a part of the
completion. Streams carry usage on the last chunk, and comments to keep alive.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.fields import CHAT_FIELDS

_HIT: Final = ("prompt_cache_hit_tokens",)
_MISS: Final = ("prompt_cache_miss_tokens",)

_FIELDS: Final = msgspec.structs.replace(
    CHAT_FIELDS,
    input_sum=(_HIT, _MISS),
    cache_read=(("prompt_tokens_details", "cached_tokens"), _HIT),
    cache_write=(),
)

CHAT: Dialect = ChatCompletions(Accent(name="deepseek.chat", fields=_FIELDS))
