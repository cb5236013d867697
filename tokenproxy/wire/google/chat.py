"""Google's accent of OpenAI's chat completions, which the Gemini API and Vertex AI offer too.

``completion_tokens`` are the visible answer's alone, and what the model thought
stands in the total only (9 + 1 and a total of 103: Google's developer forum,
127400), unless ``completion_tokens_details`` tells it: then it stands beside the
completion as well. Both are billed as output. Asked for usage, a stream states
with every chunk what it has come to so far.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.fields import CHAT_FIELDS

_FIELDS: Final = msgspec.structs.replace(
    CHAT_FIELDS, rest_is_output=True, rest_is_reasoning=True, reasoning_nesting="outside"
)

CHAT: Dialect = ChatCompletions(Accent(name="google.chat", fields=_FIELDS))
