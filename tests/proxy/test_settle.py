"""What became of a call."""

import pytest

from tokenproxy.proxy.settle import (
    CLIENT_LEFT,
    STOPPED,
    UNREACHABLE,
    UPSTREAM_LEFT,
    refusal,
    settle,
)
from tokenproxy.wire.usage import Reading

ENDED = Reading(ended=True)
OPEN = Reading()
ANSWERED = Reading(answered=True)
"""Whole as far as its bytes tell: whether it was cut only HTTP knows."""
OVERLOADED = Reading(error="overloaded_error")


@pytest.mark.parametrize(
    ("status", "broken", "reading", "expected"),
    [
        (200, None, ENDED, ("complete", None)),
        (200, None, OPEN, ("truncated", "stream_truncated")),
        (200, None, ANSWERED, ("complete", None)),
        (200, CLIENT_LEFT, ANSWERED, ("aborted", CLIENT_LEFT)),
        (200, UPSTREAM_LEFT, ANSWERED, ("truncated", UPSTREAM_LEFT)),
        (200, None, OVERLOADED, ("error", "overloaded_error")),
        (529, None, OVERLOADED, ("error", "overloaded_error")),
        (413, None, OPEN, ("error", "http_413")),
        (200, CLIENT_LEFT, OPEN, ("aborted", CLIENT_LEFT)),
        (None, CLIENT_LEFT, OPEN, ("aborted", CLIENT_LEFT)),
        (200, CLIENT_LEFT, ENDED, ("complete", None)),
        (200, UPSTREAM_LEFT, OPEN, ("truncated", UPSTREAM_LEFT)),
        (200, UPSTREAM_LEFT, OVERLOADED, ("truncated", "overloaded_error")),
        (200, UPSTREAM_LEFT, ENDED, ("complete", None)),
        (None, UPSTREAM_LEFT, OPEN, ("error", UPSTREAM_LEFT)),
        (None, UNREACHABLE, OPEN, ("error", UNREACHABLE)),
        (200, STOPPED, OPEN, ("lost", STOPPED)),
        (None, STOPPED, OPEN, ("lost", STOPPED)),
        (200, STOPPED, ENDED, ("complete", None)),
    ],
)
def test_settle(
    status: int | None, broken: str | None, reading: Reading, expected: tuple[str, str | None]
) -> None:
    got = settle(status=status, broken=broken, reading=reading, readable=True, stream=True)
    assert got == expected


def test_an_unreadable_json_answer_is_an_error_of_its_own() -> None:
    got = settle(status=200, broken=None, reading=OPEN, readable=True, stream=False)
    assert got == ("error", "malformed_response")


def test_what_need_not_be_a_models_answer_is_complete_when_http_is() -> None:
    got = settle(status=200, broken=None, reading=OPEN, readable=False, stream=False)
    assert got == ("complete", None)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_we_cannot_decode_is_whole_when_http_is(stream: bool) -> None:
    def got(status: int, broken: str | None, reading: Reading) -> tuple[str, str | None]:
        return settle(
            status=status,
            broken=broken,
            reading=reading,
            readable=True,
            stream=stream,
            undecodable=True,
        )

    assert got(200, None, OPEN) == ("complete", None)
    assert got(200, None, OVERLOADED) == ("error", "overloaded_error")
    assert got(529, None, OPEN) == ("error", "http_529")
    assert got(200, UPSTREAM_LEFT, OPEN) == ("truncated", UPSTREAM_LEFT)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (None, None),
        (1000, None),
        (1001, None),
        (1005, None),
        (1006, None),
        (1007, "websocket_1007"),
        (1011, "websocket_1011"),
        (4003, "websocket_4003"),
    ],
)
def test_how_a_websocket_is_closed_may_tell_an_error(code: int | None, word: str | None) -> None:
    assert refusal(code) == word
