from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_chat import read_json
from tests.wire.strategies import garbage
from tokenproxy.wire import notes
from tokenproxy.wire.openai.errors import ErrorParser, is_error, status_word


def envelope(**error: Any) -> dict[str, Any]:
    return {"error": {"message": "Oh.", "param": None, **error}}


@pytest.mark.parametrize(
    ("status", "body", "word", "said"),
    [
        (
            401,
            envelope(type="invalid_request_error", code="invalid_api_key"),
            "invalid_request_error",
            ("error_code:invalid_api_key",),
        ),
        (429, envelope(type="tokens", code="rate_limit_exceeded"), "rate_limit_exceeded", ()),
        (
            429,
            envelope(type="insufficient_quota", code="insufficient_quota"),
            "insufficient_quota",
            (),
        ),
        (404, envelope(code="DeploymentNotFound"), "DeploymentNotFound", ()),
        (400, envelope(type="None", code="400"), "invalid_request_error", ()),
        (400, envelope(type="None", code="None"), "invalid_request_error", ()),
        (429, envelope(code="429"), "rate_limit_error", ()),
        (502, envelope(code=502), "server_error", ()),
        (400, envelope(code=400, status="INVALID_ARGUMENT"), "INVALID_ARGUMENT", ()),
        (
            429,
            [{"error": {"code": 429, "message": "Oh.", "status": "RESOURCE_EXHAUSTED"}}],
            "RESOURCE_EXHAUSTED",
            (),
        ),
        (400, {"code": "A sentence it is", "error": "Another."}, "invalid_request_error", ()),
        (400, {"code": "invalid-argument", "error": "A sentence."}, "invalid-argument", ()),
        (
            400,
            {"object": "error", "message": "Oh.", "type": "BadRequestError", "code": 400},
            "BadRequestError",
            (),
        ),
        (
            422,
            {"object": "error", "type": "invalid_request_error", "code": "1300"},
            "invalid_request_error",
            (),
        ),
        (422, {"detail": [{"loc": ["body"], "msg": "Oh."}]}, "invalid_request_error", ()),
        (503, {}, "overloaded_error", ()),
        (418, {}, "http_418", ()),
    ],
)
def test_one_word_for_each(status: int, body: object, word: str, said: tuple[str, ...]) -> None:
    reading = read_json(body, status=status)
    assert (reading.error, reading.notes) == (word, said)
    assert reading.ended
    assert (reading.parts, reading.completeness) == ((), "none")


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"upstream error", b"[]", b"7"])
def test_a_body_that_is_no_json_object_tells_nothing(body: bytes) -> None:
    reading = read_json(body, status=502)
    assert (reading.error, reading.ended) == ("server_error", False)
    assert reading.notes == (notes.BODY_UNREADABLE,)


def test_no_body_at_all() -> None:
    reading = read_json(b"", status=401)
    assert (reading.error, reading.ended, reading.notes) == ("authentication_error", False, ())


def test_a_word_of_the_status_is_known_before_the_body() -> None:
    assert ErrorParser(429).reading.error == "rate_limit_error"


@pytest.mark.parametrize("value", [b"", b"null", b" null ", b"false", b'""', b"{}"])
def test_what_is_no_error(value: bytes) -> None:
    assert not is_error(value)


@pytest.mark.parametrize("value", [b'"over capacity"', b'{"code":1}', b"true"])
def test_what_is_one(value: bytes) -> None:
    assert is_error(value)


def test_a_long_message_hides_no_type() -> None:
    reading = read_json({"error": {"message": "a" * 2**21, "type": "x_error"}}, status=500)
    assert (reading.error, reading.notes) == ("x_error", ())


def test_a_body_beyond_bounds_is_not_kept() -> None:
    more = {f"key{number}": f"value{number}" for number in range(60_000)}
    reading = read_json({"error": {"type": "x", **more}}, status=500)
    assert reading.error == "server_error"
    assert reading.notes == (notes.BODY_TOO_LARGE,)


@given(garbage(), st.integers(400, 599))
def test_garbage_never_raises(body: bytes, status: int) -> None:
    assert read_json(body, status=status).error is not None


@given(st.text(max_size=80), st.text(max_size=80) | st.integers())
def test_no_sentence_is_ever_kept(kind: str, code: str | int) -> None:
    body = json.dumps(envelope(type=kind, code=code)).encode()
    reading = read_json(body, status=400)
    assert reading.error is not None
    assert " " not in reading.error
    assert len(reading.error) <= 64
    assert status_word(400) == "invalid_request_error"
