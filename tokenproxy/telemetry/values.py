"""The conventions' values where the ledger has a word of its own. Imports no opentelemetry."""

from __future__ import annotations

from typing import Final

from tokenproxy.record.call import CallStart
from tokenproxy.record.row import Row

EMBEDDINGS: Final = "embeddings"
FETCH: Final = "fetch_response"
"""An answer is fetched again that was made before."""
NO_INFERENCE: Final = frozenset({EMBEDDINGS, FETCH, "rerank", "count_tokens"})
"""Operations that generate nothing: genai-main's inference metrics are not theirs."""

_OPERATIONS: Final = {
    "responses": "chat",
    "compact": "chat",
    "interactions": "generate_content",
    "realtime": "generate_content",
    "image_generation": "generate_content",
    "speech": "generate_content",
    "transcription": "generate_content",
}
"""The ledger's operations where a value of ``gen_ai.operation.name`` applies: then that MUST be
used. What none applies to (``count_tokens``, ``rerank``, ``ocr``, ``batch_results``) stays."""
OUTPUT_TYPES: Final = {"image_generation": "image", "speech": "speech"}
"""Operations that ask for a type of output by themselves."""

OPENAI: Final = "openai"
OPENAI_API_TYPES: Final = {
    "chat": "chat_completions",
    "responses": "responses",
    "compact": "responses",
}
OPENAI_AUTO_TIER: Final = "auto"
AZURE_INFERENCE: Final = "azure.ai.inference"
AZURE_COGNITIVE_SERVICES: Final = "Microsoft.CognitiveServices"


def operation_name(start: CallStart, row: Row | None) -> str:
    """``gen_ai.operation.name`` of a call; ``row`` is None if it leaves none."""
    if start.kind == "replay" and row is None:
        return FETCH
    return _OPERATIONS.get(start.operation, start.operation)
