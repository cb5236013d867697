"""Google's response headers.

The Gemini API sends no id of a request (its ``responseId`` stands in the body);
what serves it in front of Google's own clients may send a trace. The tier that
served a whole (not a streamed) answer stands in ``x-gemini-service-tier``
("Priority inference", "Flex inference").
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.wire.google.usage import tier
from tokenproxy.wire.headers import limits, retry_after_s
from tokenproxy.wire.usage import ResponseFacts
from tokenproxy.wire.words import word

_IDS = ("x-goog-request-id", "x-request-id", "x-cloudaicompanion-trace-id", "x-cloud-trace-context")


def read_response_headers(headers: Mapping[str, str]) -> ResponseFacts:
    """Ids and limits, from response headers with lower-cased names."""
    ids = (word(headers.get(name)) for name in _IDS)
    return ResponseFacts(
        request_id=next((found for found in ids if found is not None), None),
        rate_limits=limits(headers, "x-ratelimit-"),
        retry_after_s=retry_after_s(headers),
    )


def service_tier(headers: Mapping[str, str]) -> str | None:
    """The tier that served, where a header tells it."""
    return tier(headers.get("x-gemini-service-tier"))
