from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.google import QUOTA, document, error
from tokenproxy.wire.google.errors import Error, fail, read_error
from tokenproxy.wire.usage import Reading


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (error(429, "RESOURCE_EXHAUSTED"), None, "resource_exhausted"),
        ([error(404, "NOT_FOUND")], 404, "not_found"),
        ({"error": {"code": 503}}, None, "http_503"),
        ({"error": {"code": 503, "status": "not a word"}}, 500, "http_500"),
        ({"error": {"code": 7}}, None, "unknown"),
        ({"error": "invalid_grant"}, 400, "http_400"),
        ({}, 502, "http_502"),
        ([], 502, None),
        ("<html>", 502, None),
    ],
)
def test_word(body: Any, status: int | None, word: str | None) -> None:
    found = read_error(body.encode() if isinstance(body, str) else document(body))
    if word is None:
        assert found is None
        return
    assert found is not None
    assert (found.error or Error()).word(status) == word


def test_what_the_details_say() -> None:
    reading = Reading()
    found = read_error(
        document(
            error(
                400,
                "INVALID_ARGUMENT",
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
                {"retryDelay": "soon", "reason": "two words"},
                {"retryDelay": "7s"},
            )
        )
    )
    assert found is not None
    fail(reading, found.error, 400)
    assert reading.error == "invalid_argument"
    assert reading.notes == ("error_code:api_key_invalid", "retry_delay:7s")


def test_an_error_that_says_nothing() -> None:
    reading = Reading()
    fail(reading, None)
    assert (reading.error, reading.notes) == ("unknown", ())


def test_content_of_an_error_is_not_kept() -> None:
    reading = Reading()
    found = read_error(document(QUOTA))
    assert found is not None
    fail(reading, found.error)
    assert "words" not in repr(reading)
