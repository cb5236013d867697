"""The API beside ``POST /v1/messages``: what a client asks for on the way.

Paths that are no model call answer as the real host does, or 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tokenproxy.simulator import messages
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens
from tokenproxy.simulator.reply import Piece, Reply, Request, Stored, json_reply
from tokenproxy.simulator.wires import NOT_FOUND, wire_of

BATCH_ID = "msgbatch_01SimulatedBatchOfFour"
BATCH_PARTS = (
    Tokens(model="claude-opus-5-5", input=1200, cache_read=4000, output=310),
    Tokens(model="claude-haiku-4-5", input=90, cache_write_5m=2100, output=25, thinking=9),
)
BATCH_MESSAGES = tuple(
    Message(
        parts=(tokens,),
        blocks=(messages.text(f"Result {number}."),),
        id=f"msg_01BatchResult{number:012}",  # stable: results can be downloaded again
        service_tier="batch",
    )
    for number, tokens in enumerate(BATCH_PARTS)
)


def answer(request: Request, past: Sequence[Exchange] = ()) -> Reply:
    """Reply to a request that the scenario left alone; ``past`` is all that was before it."""
    route = request.target.route
    for path in (route, route.removeprefix("/anthropic"), route.removeprefix("/api")):
        if handler := _EXACT.get((request.method, path)):
            return handler(request)
        for prefix, handler in _PREFIXES.items():
            if path.startswith(prefix):
                return handler(request)
    if route.endswith("/count-tokens:rawPredict"):
        return count_tokens(request)
    wire = wire_of(request)
    return wire.aside(request, past) or wire.failure(request, NOT_FOUND)


def count_tokens(request: Request) -> Reply:
    """Count a prompt: free, about four bytes a token."""
    return json_reply({"input_tokens": max(1, len(request.body) // 4)})


def batch(_request: Request) -> Reply:
    """Create or show the one batch there is: ended."""
    status: Json = {
        "id": BATCH_ID,
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": {
            "processing": 0,
            "succeeded": len(BATCH_MESSAGES),
            "errored": 1,
            "canceled": 0,
            "expired": 1,
        },
        "created_at": "2026-11-22T00:00:00Z",
        "ended_at": "2026-11-22T00:20:00Z",
        "expires_at": "2026-11-23T00:00:00Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"https://api.anthropic.com/v1/messages/batches/{BATCH_ID}/results",
    }
    return json_reply(status)


def batch_results(_request: Request) -> Reply:
    """Download the results, JSONL: two succeeded, one errored, one expired."""
    failed = messages.error_body("invalid_request_error", "max_tokens: must be positive")
    results: list[Json] = [
        {"type": "succeeded", "message": message.json()} for message in BATCH_MESSAGES
    ]
    results.insert(1, {"type": "errored", "error": failed})
    results.append({"type": "expired"})
    lines = [
        msgspec.json.encode({"custom_id": f"request-{at}", "result": result}) + b"\n"
        for at, result in enumerate(results)
    ]
    return Reply(
        headers=(("Content-Type", "application/x-jsonl"),),
        pieces=(
            *(Piece(line) for line in lines[:-1]),
            Piece(lines[-1], known=Known(BATCH_PARTS, final=True)),
        ),
        billed=BATCH_PARTS,
        stored=Stored(BATCH_ID, {}),
    )


def _empty(_request: Request) -> Reply:
    return json_reply({})


def _batches(request: Request) -> Reply:
    return batch_results(request) if request.route.endswith("/results") else batch(request)


_EXACT: Mapping[tuple[str, str], Callable[[Request], Reply]] = {
    ("POST", "/v1/messages/count_tokens"): count_tokens,
    ("POST", "/v1/messages/batches"): batch,
    ("GET", "/api/claude_cli/bootstrap"): _empty,
}
_PREFIXES: Mapping[str, Callable[[Request], Reply]] = {
    "/v1/messages/batches/": _batches,
    "/api/event_logging/": _empty,
}
