"""Trap 22: the ways to count wrong on AWS Bedrock, one test each."""

from __future__ import annotations

import base64
import json

import pytest

from tests.wire.fixtures import anthropic
from tests.wire.fixtures.bedrock import (
    BEGUN,
    CLAUDE,
    CLAUDE_STREAM,
    STREAM,
    answer,
    chunks,
    ended,
    events,
    metrics,
    text_block,
    usage,
)
from tests.wire.fixtures.eventstream import event, exception
from tokenproxy.wire.bedrock import CONVERSE, INVOKE
from tokenproxy.wire.dialect import Dialect, Head
from tokenproxy.wire.usage import Reading

WRITES = usage(
    3, 5, cacheWriteInputTokens=1000,
    cacheDetails=[{"ttl": "1h", "inputTokens": 600}, {"ttl": "5m", "inputTokens": 400}],
)  # fmt: skip


def read(dialect: Dialect, body: bytes, content_type: str = STREAM["content-type"]) -> Reading:
    parser = dialect.open_response(Head(status=200, content_type=content_type, model=CLAUDE))
    parser.feed(body)
    parser.close()
    return parser.reading


@pytest.mark.parametrize("streamed", [True, False])
def test_t22_cache_writes_by_time_to_live_stand_in_cache_details_alone(streamed: bool) -> None:
    """An hour's writes cost 1.6 times as much as those of five minutes."""
    if streamed:
        reading = read(CONVERSE, events(BEGUN, *text_block(), *ended(WRITES)))
    else:
        reading = read(CONVERSE, json.dumps(answer(WRITES)).encode(), "application/json")
    [part] = reading.parts
    assert part.cache_creation_input_tokens == 1000
    assert part.cache_creation_5m_input_tokens == 400
    assert part.cache_creation_1h_input_tokens == 600
    assert reading.notes == ()


def test_t22_input_excludes_the_cache() -> None:
    """Though the total that AWS states may include it."""
    stated = usage(3, 5, cacheReadInputTokens=90, cacheWriteInputTokens=0, totalTokens=98)
    [part] = read(CONVERSE, events(*ended(stated))).parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (3, 90)


@pytest.mark.parametrize("padding", ["", "a", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", "{}", '"p"'])
@pytest.mark.parametrize("first", [True, False])
def test_t22_padding_is_no_content(padding: str, first: bool) -> None:
    """Each event has a field ``p`` of any length, so that lengths tell nothing of the text."""

    def padded(data: dict[str, object]) -> dict[str, object]:
        return {"p": padding, **data} if first else {**data, "p": padding}

    named = [(name, padded(data)) for name, data in (BEGUN, *text_block(), *ended(WRITES))]
    body = b"".join(event(name, data) for name, data in named)
    assert read(CONVERSE, body) == read(CONVERSE, events(BEGUN, *text_block(), *ended(WRITES)))
    lines = [each[6:] for each in CLAUDE_STREAM.splitlines() if each.startswith(b"data: ")]
    pieces = [padded({"bytes": base64.b64encode(each).decode()}) for each in lines]
    assert read(INVOKE, b"".join(event("chunk", each) for each in pieces)) == read(
        INVOKE, chunks(CLAUDE_STREAM)
    )


def test_t22_what_is_padded_is_read() -> None:
    """All that AWS sends is: the same counts as without padding, and nothing to note."""
    reading = read(CONVERSE, events(BEGUN, *text_block(), *ended(usage(3, 5))))
    assert (reading.completeness, reading.notes) == ("final", ())
    assert [(part.uncached_input_tokens, part.output_tokens) for part in reading.parts] == [(3, 5)]
    body = anthropic.start(anthropic.counts(3, 1)) + anthropic.delta({"output_tokens": 5})
    reading = read(INVOKE, chunks(body + anthropic.STOP))
    assert (reading.completeness, reading.notes) == ("final", ())
    assert [(part.uncached_input_tokens, part.output_tokens) for part in reading.parts] == [(3, 5)]


@pytest.mark.parametrize(
    "kind",
    [
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    ],
)
def test_t22_an_exception_in_mid_stream_is_an_error_not_an_end(kind: str) -> None:
    """HTTP said 200 long ago; what was used until then is a lower bound."""
    begun = anthropic.start(anthropic.counts(25, 1, read=7)) + anthropic.text("Good")
    reading = read(INVOKE, chunks(begun) + exception(kind))
    assert (reading.error, reading.ended, reading.completeness) == (kind, False, "partial")
    assert reading.parts[0].uncached_input_tokens == 25
    reading = read(CONVERSE, events(BEGUN, *text_block()) + exception(kind))
    assert (reading.error, reading.ended, reading.completeness) == (kind, False, "none")


def test_t22_the_metrics_are_a_check_and_never_added() -> None:
    reading = read(INVOKE, chunks(CLAUDE_STREAM, metrics(3, 500)))
    assert len(reading.parts) == 1
    assert reading.parts == read(INVOKE, chunks(CLAUDE_STREAM)).parts
    assert reading.notes == ()
