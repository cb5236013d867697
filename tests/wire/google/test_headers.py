from __future__ import annotations

from tokenproxy.wire.google.headers import read_response_headers, service_tier
from tokenproxy.wire.usage import ResponseFacts


def test_headers() -> None:
    headers = {
        "x-cloud-trace-context": "105445aa7843bc8bf206b12000100000/1;o=1",
        "x-gemini-service-tier": "FLEX",
        "retry-after": "7",
        "x-ratelimit-remaining": "3",
        "set-cookie": "secret",
        "server-timing": "gfet4t7; dur=321",
    }
    assert read_response_headers(headers) == ResponseFacts(
        request_id="105445aa7843bc8bf206b12000100000/1;o=1",
        rate_limits={"x-ratelimit-remaining": "3"},
        retry_after_s=7.0,
    )
    assert service_tier(headers) == "flex"


def test_no_headers() -> None:
    assert read_response_headers({}) == ResponseFacts()
    assert service_tier({}) is None


def test_an_id_of_the_request_goes_before_a_trace() -> None:
    headers = {"x-cloud-trace-context": "trace", "x-goog-request-id": "request"}
    assert read_response_headers(headers).request_id == "request"
