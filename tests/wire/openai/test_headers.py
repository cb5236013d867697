from __future__ import annotations

from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.usage import ResponseFacts


def test_openai() -> None:
    headers = {
        "x-request-id": "req_1",
        "openai-organization": "org-1",
        "openai-project": "proj_1",
        "openai-processing-ms": "12",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-reset-tokens": "6m0s",
        "retry-after": "2",
    }
    assert read_response_headers(headers) == ResponseFacts(
        request_id="req_1",
        organization_id="org-1",
        workspace_id="proj_1",
        rate_limits={"x-ratelimit-limit-tokens": "30000", "x-ratelimit-reset-tokens": "6m0s"},
        retry_after_s=2.0,
    )


def test_others() -> None:
    headers = {"apim-request-id": "a-1", "x-codex-primary-used-percent": "12"}
    assert read_response_headers(headers) == ResponseFacts(
        request_id="a-1", rate_limits={"x-codex-primary-used-percent": "12"}
    )


def test_none() -> None:
    assert read_response_headers({}) == ResponseFacts()
