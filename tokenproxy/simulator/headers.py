"""Headers that every response of a provider carries."""

from __future__ import annotations

from tokenproxy.simulator.reply import Headers, Request, common_headers, new_request_id


def headers_of(request: Request | None) -> Headers:
    """The provider's own headers on an answer to ``request``."""
    flavour = request.target.flavour if request else "anthropic"
    request_id = new_request_id()
    match flavour:
        case "anthropic":
            return common_headers(request_id)
        case "openai" | "azure" | "foundry" | "copilot":
            return _openai(request_id)
        case "google" | "code-assist" | "vertex" | "vertex-anthropic":
            return [("Server", "scaffolding on HTTPServer2"), ("Server-Timing", "gfet4t7; dur=321")]
        case "bedrock" | "bedrock-sdk":
            return [("x-amzn-RequestId", request_id.removeprefix("req_"))]
        case "groq":
            return [("x-groq-region", "simulated"), ("x-request-id", request_id)]
    return [("x-request-id", request_id)]


def _openai(request_id: str) -> Headers:
    return [
        ("x-request-id", request_id),
        ("openai-organization", "org-simulated"),
        ("openai-processing-ms", "321"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("Server", "cloudflare"),
    ]
