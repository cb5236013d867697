"""OpenAI's API beside the calls of a model: models, counting, files of batches, Codex's own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Tokens
from tokenproxy.simulator.openai_usage import usage
from tokenproxy.simulator.reply import Piece, Reply, Request, Stored, json_reply

MODELS = ("gpt-6-sol", "gpt-6-luna", "gpt-5.6-sol", "text-embedding-3-small")
BATCH_PARTS = (
    Tokens(model="gpt-6-luna", provider="openai", input=700, cache_read=1200, output=210,
           thinking=64),
    Tokens(model="gpt-6-luna", provider="openai", input=90, output=25, thinking=0),
)  # fmt: skip
"""What the lines of the one batch's output file bill."""
BATCH_FILE = "file-SimulatedBatchOfThree"
ACCOUNT = "simulated-account"
ACCOUNTS: Json = {
    "accounts": [
        {
            "id": ACCOUNT,
            "workspace_backend_origin": "NO_CONSTRAINT",
            "account_routing_override": "NO_CONSTRAINT",
        }
    ],
    "account_ordering": [ACCOUNT],
    "default_account_id": ACCOUNT,
}
"""Where a ChatGPT login's calls go: Codex makes none before it knows."""
EMPTY = ("/wham/", "/codex/analytics-events", "/plugins", "/connectors", "/settings")
"""Parts of the paths below ``/backend-api`` that Codex asks on the way."""


def answer(request: Request, past: Sequence[Exchange]) -> Reply | None:
    """What there is; None for anything else."""
    target = request.target
    if target.route.endswith("/responses/input_tokens"):
        count = max(1, len(request.plain_body) // 4)
        return json_reply({"object": "response.input_tokens", "input_tokens": count})
    if request.method == "GET" and target.route.endswith("/models"):
        return json_reply(models(past))
    if request.method == "GET" and "/models/" in target.route:
        return json_reply(_model(target.route.rpartition("/models/")[2]))
    if request.method == "GET" and target.route.endswith("/content"):
        return batch_output()
    if target.route.startswith("/backend-api/") and any(part in target.route for part in EMPTY):
        return json_reply(ACCOUNTS if target.route.endswith("/accounts/check") else {})
    return None


def models(past: Sequence[Exchange]) -> Json:
    """The list of models, all that were asked for so far among them.

    Codex finds none in its own form in it and keeps those that it knows.
    """
    asked = (exchange.request.model for exchange in past if exchange.is_call)
    data = [_model(name) for name in dict.fromkeys((*MODELS, *asked))]
    return {"object": "list", "data": data, "models": []}


def batch_output() -> Reply:
    """A batch's output file, JSONL: two answers and an error between them."""
    lines = [_line(number, tokens) for number, tokens in enumerate(BATCH_PARTS)]
    error: Json = {"error": {"message": "Invalid model", "type": "invalid_request_error"}}
    lines.insert(1, _result("failed", 400, error))
    data = [msgspec.json.encode(line) + b"\n" for line in lines]
    final = Known(BATCH_PARTS, final=True)
    return Reply(
        headers=(("Content-Type", "application/octet-stream"),),
        pieces=(*(Piece(line) for line in data[:-1]), Piece(data[-1], known=final)),
        billed=BATCH_PARTS,
        stored=Stored(BATCH_FILE, {}),
    )


def _line(number: int, tokens: Tokens) -> Json:
    message = {"role": "assistant", "content": f"Result {number}.", "refusal": None}
    body: Json = {
        "id": f"chatcmpl-BatchResult{number:012}",  # stable: a file can be downloaded again
        "object": "chat.completion",
        "created": 1_795_651_200,
        "model": tokens.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage(tokens, "openai"),
        "service_tier": "default",
    }
    return _result(str(number), 200, body)


def _result(name: str, status: int, body: Json) -> Json:
    return {
        "id": f"batch_req_{name}",
        "custom_id": f"request-{name}",
        "response": {"status_code": status, "request_id": f"req_{name}", "body": body},
        "error": None,
    }


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_795_651_200, "owned_by": "simulator"}
