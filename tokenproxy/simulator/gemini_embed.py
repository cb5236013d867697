"""Google's embeddings: the Gemini API's and Vertex AI's."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator.gemini import Generate
from tokenproxy.simulator.messages import Json, Message, Tokens
from tokenproxy.simulator.reply import Reply, Request
from tokenproxy.simulator.wires import WIRES, objects, whole


class Embed(Generate):
    """``:embedContent`` and ``:batchEmbedContents``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """One vector for each content; the Gemini API states the prompt's tokens only."""
        tokens = msgspec.structs.replace(
            message.top.uncached(), model=request.model, output=0, thinking=None
        )
        vector = {"values": [0.25, -0.5, 0.125]}
        asked = objects(request.json.get("requests"))
        body: Json = {"embeddings": [vector] * len(asked)} if asked else {"embedding": vector}
        body["usageMetadata"] = {
            "promptTokenCount": tokens.input,
            "totalTokenCount": tokens.input,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
        }
        return whole(body, known=tokens)


class Predict(Generate):
    """Vertex AI's ``:predict`` for embeddings: each one states its own tokens."""

    def reply(self, request: Request, message: Message) -> Reply:
        """One vector for each instance."""
        number = max(1, len(objects(request.json.get("instances"))))
        each = message.top.all_input
        tokens = Tokens(model=request.model, input=each * number)
        statistics = {"truncated": False, "token_count": each}
        vector = {"embeddings": {"values": [0.25, -0.5], "statistics": statistics}}
        return whole({"predictions": [vector] * number}, known=tokens)


WIRES["google.embed"] = Embed()
WIRES["google.predict"] = Predict()
