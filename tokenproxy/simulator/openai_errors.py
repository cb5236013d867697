"""Error envelopes of those who speak OpenAI's API, each in its own words."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator.messages import Json
from tokenproxy.simulator.reply import Reply, Request, json_reply
from tokenproxy.simulator.wires import OVERLOADED, Failure

TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "overloaded"),
}
"""Status -> OpenAI's ``type`` and ``code``."""


def status_of(failure: Failure) -> int:
    """The failure's status where 529 is unknown."""
    return 503 if failure.status == OVERLOADED else failure.status


def envelope(flavour: str, failure: Failure) -> Json:
    """The body of an error."""
    status = status_of(failure)
    kind, code = TYPES.get(status) or TYPES[400 if status < 500 else 500]
    match flavour:
        case "mistral":
            return {
                "object": "error",
                "message": failure.text,
                "type": "rate_limited" if status == 429 else "internal_error",
                "param": None,
                "code": "1300" if status == 429 else "3000",
            }
        case "xai":
            return {"code": code or kind, "error": failure.text}
        case "openrouter":
            return {"error": {"code": status, "message": failure.text, "metadata": {}}}
        case "azure":
            return {"error": {"code": str(code or status), "message": failure.text}}
        case "perplexity":
            return {"error": {"message": failure.text, "type": kind, "code": status}}
    return {"error": {"message": failure.text, "type": kind, "param": None, "code": code}}


def failed(request: Request, failure: Failure) -> Reply:
    """``failure`` as the answer to ``request``."""
    flavour = request.target.flavour
    headers = list(failure.headers)
    if flavour in ("openai", "azure") and any(name == "retry-after" for name, _ in headers):
        headers.append(("retry-after-ms", "1000"))
    body = json_reply(envelope(flavour, failure), status=status_of(failure), headers=headers)
    return msgspec.structs.replace(body, billed=())
