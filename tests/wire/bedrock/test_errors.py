from __future__ import annotations

import pytest

from tokenproxy.wire import notes
from tokenproxy.wire.bedrock import INVOKE
from tokenproxy.wire.bedrock.errors import error_word
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.usage import Reading


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ThrottlingException", "ThrottlingException"),
        ("ThrottlingException:http://internal.amazon.com/coral/x/", "ThrottlingException"),
        ("com.amazon.coral.service#AccessDeniedException", "AccessDeniedException"),
        ("throttlingException", "throttlingException"),
        (" UnknownOperationException ", "UnknownOperationException"),
        ("a sentence of words", None),
        ("x" * 65, None),
        ("9lives", None),
        ("", None),
        (None, None),
    ],
)
def test_error_word(text: str | None, word: str | None) -> None:
    assert error_word(text) == word


def fail(status: int, body: bytes, **headers: str) -> Reading:
    parser = INVOKE.open_response(Head(status=status, headers=headers))
    parser.feed(body)
    parser.close()
    assert parser.take_items() == []
    return parser.reading


@pytest.mark.parametrize(
    ("status", "body", "error", "ended", "said"),
    [
        (429, b'{"__type":"a#ThrottlingException"}', "ThrottlingException", True, ()),
        (403, b'{"code":"ExpiredTokenException"}', "ExpiredTokenException", True, ()),
        (400, b'{"message":"no"}', "invalid_request_error", True, ()),
        (400, b'{"__type":7}', "invalid_request_error", True, ()),
        (503, b"", "overloaded_error", False, ()),
        (599, b"<html>", "http_599", False, (notes.BODY_UNREADABLE,)),
    ],
)
def test_bodies(status: int, body: bytes, error: str, ended: bool, said: tuple[str, ...]) -> None:
    reading = fail(status, body)
    assert (reading.error, reading.ended, reading.notes) == (error, ended, said)
    assert reading.completeness == "none"


def test_the_header_tells_before_the_body_does() -> None:
    reading = fail(400, b'{"__type":"Other"}', **{"x-amzn-errortype": "ValidationException:"})
    assert reading.error == "ValidationException"
