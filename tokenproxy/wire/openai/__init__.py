"""OpenAI's dialects."""

from tokenproxy.wire.openai.audio import AUDIO
from tokenproxy.wire.openai.batch import BATCH
from tokenproxy.wire.openai.chat import CHAT
from tokenproxy.wire.openai.embeddings import EMBEDDINGS
from tokenproxy.wire.openai.images import IMAGES
from tokenproxy.wire.openai.realtime import REALTIME
from tokenproxy.wire.openai.responses import RESPONSES

__all__ = ["AUDIO", "BATCH", "CHAT", "EMBEDDINGS", "IMAGES", "REALTIME", "RESPONSES"]
