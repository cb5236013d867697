"""OpenAI's dialects."""

from tokenproxy.wire.openai.chat import CHAT
from tokenproxy.wire.openai.embeddings import EMBEDDINGS

__all__ = ["CHAT", "EMBEDDINGS"]
