"""Google's dialects."""

from tokenproxy.wire.google.chat import CHAT
from tokenproxy.wire.google.embeddings import EMBEDDINGS, PREDICT
from tokenproxy.wire.google.generate_content import GENERATE_CONTENT
from tokenproxy.wire.google.interactions import INTERACTIONS
from tokenproxy.wire.google.live import LIVE

__all__ = ["CHAT", "EMBEDDINGS", "GENERATE_CONTENT", "INTERACTIONS", "LIVE", "PREDICT"]
