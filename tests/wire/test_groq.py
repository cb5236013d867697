from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.groq import MODEL, OSS, timed
from tests.wire.fixtures.openai_chat import (
    DONE,
    chunk,
    completion,
    read_json,
    read_stream,
    stop,
    text,
)
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading, UsagePart


def stream(**x_groq: Any) -> Reading:
    body = text("a") + stop(x_groq={"id": "req_1", **x_groq}) + DONE
    return read_stream(body, "groq.chat")


def test_usage_in_either_place() -> None:
    part = UsagePart(uncached_input_tokens=20, output_tokens=7)
    assert stream(usage=timed(20, 7)).parts == (part,)
    both = chunk(usage=timed(20, 7), x_groq={"usage": timed(20, 7)})
    reading = read_stream(text("a") + stop() + both + DONE, "groq.chat")
    assert reading.parts == (part,)
    assert reading.usage == [timed(20, 7)]


def test_openais_place_comes_first() -> None:
    both = chunk(usage=timed(20, 8), x_groq={"usage": timed(20, 7, cached=4)})
    [part] = read_stream(text("a") + stop() + both + DONE, "groq.chat").parts
    assert (part.output_tokens, part.cache_read_input_tokens) == (8, 4)


def test_a_breakdown_alone() -> None:
    models = [{"model": MODEL, "usage": timed(4, 5)}, {"model": OSS, "usage": timed(6, 7)}]
    reading = stream(usage_breakdown={"models": models})
    assert reading.parts == (
        UsagePart(model=MODEL, uncached_input_tokens=4, output_tokens=5),
        UsagePart(model=OSS, uncached_input_tokens=6, output_tokens=7),
    )
    assert reading.usage == [timed(6, 7)]
    assert (reading.completeness, reading.notes) == ("final", ())


@pytest.mark.parametrize(
    "breakdown", [{}, {"models": []}, {"models": None}, {"models": [{"model": MODEL}]}, None]
)
def test_an_empty_breakdown_is_none(breakdown: object) -> None:
    reading = stream(usage=timed(20, 7), usage_breakdown=breakdown)
    assert reading.parts == (UsagePart(uncached_input_tokens=20, output_tokens=7),)
    assert reading.notes == ()


def test_a_breakdown_that_does_not_add_up_counts_and_is_noted() -> None:
    models = [{"model": MODEL, "usage": timed(4, 5)}]
    body = completion(timed(20, 7), usage_breakdown={"models": models})
    reading = read_json(body, "groq.chat")
    assert reading.parts == (UsagePart(model=MODEL, uncached_input_tokens=4, output_tokens=5),)
    assert reading.notes == (notes.BREAKDOWN_MISMATCH,)


def test_an_error_of_its_own() -> None:
    assert stream(error="over capacity").error == "server_error"
    assert stream(error={"type": "overloaded"}).error == "overloaded"
    assert stream(error=None).error is None
