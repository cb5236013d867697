"""Response headers of OpenAI and of those who speak its language.

``x-request-id`` (SDK, ``_base_client.py``), ``openai-organization`` and
``openai-project``, ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``;
Azure's ``apim-request-id``; Codex's ``x-codex-*`` limits of a subscription; the
limits of imitators go by ``ratelimit-`` and ``x-ratelimit-`` too.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.wire.headers import limits, retry_after_s
from tokenproxy.wire.usage import ResponseFacts
from tokenproxy.wire.words import word

_REQUEST_ID = ("x-request-id", "apim-request-id", "request-id", "x-github-request-id")
_LIMITS = ("x-ratelimit-", "ratelimit-", "x-codex-")


def read_response_headers(headers: Mapping[str, str]) -> ResponseFacts:
    """Ids and limits, from response headers with lower-cased names."""
    ids = (word(headers.get(name)) for name in _REQUEST_ID)
    return ResponseFacts(
        request_id=next((found for found in ids if found is not None), None),
        organization_id=word(headers.get("openai-organization")),
        workspace_id=word(headers.get("openai-project")),
        rate_limits=limits(headers, *_LIMITS),
        retry_after_s=retry_after_s(headers),
    )
