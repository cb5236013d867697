from __future__ import annotations

import json

import pytest

from tests.wire.fixtures.anthropic import PLAIN, counts, message, open_parser
from tokenproxy.wire.anthropic.batch import BatchParser
from tokenproxy.wire.anthropic.body import CountParser, ErrorParser
from tokenproxy.wire.anthropic.messages import MESSAGES
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


@pytest.mark.parametrize(
    ("status", "operation", "parser"),
    [
        (200, "chat", SniffingParser),
        (201, "chat", SniffingParser),
        (302, "chat", SniffingParser),
        (400, "chat", ErrorParser),
        (529, "chat", ErrorParser),
        (200, "count_tokens", CountParser),
        (400, "count_tokens", ErrorParser),
        (200, "batch_results", BatchParser),
        (404, "batch_results", ErrorParser),
    ],
)
def test_open_response(status: int, operation: str, parser: type) -> None:
    assert type(open_parser(status=status, operation=operation)) is parser


def test_response_headers() -> None:
    headers = {
        "request-id": "req_01",
        "anthropic-organization-id": "org",
        "anthropic-workspace-id": "ws",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-unified-5h-utilization": "0.43",
        "anthropic-priority-input-tokens-remaining": "9",
        "anthropic-fast-output-tokens-reset": "2026-11-22T00:00:00Z",
        "retry-after": "7",
        "set-cookie": "secret",
        "anthropic-version": "2023-06-01",
    }
    assert MESSAGES.read_response_headers(headers) == ResponseFacts(
        request_id="req_01",
        organization_id="org",
        workspace_id="ws",
        rate_limits={
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-unified-5h-utilization": "0.43",
            "anthropic-priority-input-tokens-remaining": "9",
            "anthropic-fast-output-tokens-reset": "2026-11-22T00:00:00Z",
        },
        retry_after_s=7.0,
    )


def test_no_response_headers() -> None:
    assert MESSAGES.read_response_headers({}) == ResponseFacts()


def test_the_request_id_of_the_aws_platform() -> None:
    assert MESSAGES.read_response_headers({"x-amzn-requestid": "a-b"}).request_id == "a-b"
    both = {"x-amzn-requestid": "a-b", "request-id": "req_01"}
    assert MESSAGES.read_response_headers(both).request_id == "req_01"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert MESSAGES.read_response_headers(headers).retry_after_s == seconds


def test_the_rest_is_passed_on() -> None:
    assert MESSAGES.name == "anthropic.messages"
    assert MESSAGES.read_request(b"{}") == RequestFacts()


@pytest.mark.parametrize(
    "content_type", ["text/event-stream", "Text/Event-Stream; charset=utf-8", "", "text/plain"]
)
def test_a_stream_whatever_it_is_called(content_type: str) -> None:
    parser = open_parser(content_type=content_type)
    parser.feed(PLAIN)
    parser.close()
    assert parser.reading.completeness == "final"


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "", "text/html"])
def test_a_document_whatever_it_is_called(content_type: str) -> None:
    parser = open_parser(content_type=content_type)
    parser.feed(b"  " + json.dumps(message(counts(1, 2))).encode())
    parser.close()
    assert parser.reading.completeness == "final"
