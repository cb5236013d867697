from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.wire.fixtures.google import QUOTA, counts, document, read
from tests.wire.strategies import garbage
from tokenproxy.wire import notes
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.google import EMBEDDINGS, PREDICT
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, UsagePart


def embedded(body: object, **head: Any) -> Reading:
    return read(document(body), name="google.embeddings", **head)


def predicted(*statistics: Any) -> Reading:
    predictions = [{"embeddings": {"values": [0.5], "statistics": one}} for one in statistics]
    return read(document({"predictions": predictions}), name="google.predict")


def test_embedding() -> None:
    usage = counts(4, None, 4)
    reading = embedded({"embedding": {"values": [0.1]}, "usageMetadata": usage, "truncated": False})
    assert reading == Reading(
        parts=(UsagePart(uncached_input_tokens=4, output_tokens=0),),
        usage=[usage],
        completeness="final",
        ended=True,
    )


@pytest.mark.parametrize("usage", [None, {}, {"promptTokenCount": "4"}, {"totalTokenCount": 4}])
def test_an_embedding_without_a_count_has_no_usage(usage: Any) -> None:
    reading = embedded({"embeddings": [], "usageMetadata": usage})
    assert (reading.parts, reading.completeness, reading.ended) == ((), "none", True)
    assert notes.USAGE_ABSENT in reading.notes


def test_tokens_of_predictions_are_added() -> None:
    reading = predicted({"token_count": 4.0}, {"token_count": 6})
    assert reading.parts == (UsagePart(uncached_input_tokens=10, output_tokens=0),)
    assert reading.completeness == "final"


def test_a_prediction_that_tells_no_tokens_makes_the_sum_a_lower_bound() -> None:
    for silent in ({}, {"token_count": "6"}, None):
        reading = predicted({"token_count": 4}, silent)
        assert reading.parts == (UsagePart(uncached_input_tokens=4, output_tokens=0),)
        assert reading.completeness == "partial"


def test_predictions_without_tokens() -> None:
    body = document({"predictions": [{"bytesBase64Encoded": "iVBO"}, 7]})
    assert read(body, name="google.predict") == Reading(ended=True, notes=(notes.USAGE_ABSENT,))


@pytest.mark.parametrize("name", ["google.embeddings", "google.predict"])
def test_errors(name: str) -> None:
    refused = read(document(QUOTA), name=name, status=429)
    assert (refused.error, refused.ended) == ("resource_exhausted", True)
    told = read(document(QUOTA), name=name)
    assert (told.error, told.completeness) == ("resource_exhausted", "none")
    assert notes.USAGE_ABSENT not in told.notes
    assert read(b"<html>", name=name) == Reading(notes=(notes.BODY_UNREADABLE,))


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"model":"models/m","content":{"parts":[]}}', b'{"parts":[]}'),
        (b'{"model":"m","requests":[{}]}', b"[{}]"),
        (b'{"model":"m","instances":[1]}', b"[1]"),
    ],
)
def test_request(body: bytes, asked: bytes) -> None:
    expected = RequestFacts(model="m", prompt_digest=prompt_digest(asked))
    assert EMBEDDINGS.read_request(body) == expected
    assert PREDICT.read_request(b"[]") == RequestFacts(malformed=True)


def test_headers() -> None:
    assert PREDICT.read_response_headers({"retry-after": "3"}) == ResponseFacts(retry_after_s=3.0)


@given(garbage())
def test_garbage_never_raises(data: bytes) -> None:
    for name in ("google.embeddings", "google.predict"):
        read(data, name=name)
        read(b'{"predictions":[' + data + b'],"usageMetadata":{"promptTokenCount":4}}', name=name)
    EMBEDDINGS.read_request(data)
