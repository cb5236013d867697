"""Batches: a file of answers, one reading each; other files are passed over."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_batch import completion, line
from tests.wire.fixtures.openai_images import usage as image_usage
from tests.wire.fixtures.openai_responses import done, response, usage
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.openai.batch import BATCH
from tokenproxy.wire.usage import Reading, RequestFacts


def open_parser(status: int = 200) -> ResponseParser:
    return BATCH.open_response(Head(status=status, operation="batch_results"))


def read(sent: bytes) -> tuple[Reading, list[Reading]]:
    parser = open_parser()
    assert parser.feed(sent) is False
    parser.close()
    parser.close()
    return parser.reading, parser.take_items()


EMBEDDED = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1] * 2000}],
    "usage": {"prompt_tokens": 9, "total_tokens": 9},
}


@pytest.mark.parametrize(
    ("answer", "given_", "output"),
    [
        (done(usage(2000, 100)), 2000, 100),
        (completion(20, 10), 20, 10),
        (EMBEDDED, 9, 0),
        ({**completion(20, 10), "object": "text_completion"}, 20, 10),
        ({"created": 1, "data": [], "usage": image_usage(20, 0, 1056)}, 20, 1056),
    ],
    ids=["responses", "chat", "embeddings", "completions", "images"],
)
def test_an_answer_is_read_by_its_own_dialect(
    answer: dict[str, Any], given_: int, output: int
) -> None:
    reading, (item,) = read(line(answer))
    assert (reading.ended, reading.parts, reading.notes) == (True, (), ())
    (part,) = item.parts
    assert (part.uncached_input_tokens, part.output_tokens) == (given_, output)
    assert (part.service_tier, item.completeness, item.ended) == ("batch", "final", True)
    assert item.response_id == answer.get("id", "batch_req_1")


def test_results_are_handed_over_as_they_come() -> None:
    parser = open_parser()
    parser.feed(line(completion(20, 10)) + line(done(usage(1, 2)), number=2)[:-40])
    assert [item.response_id for item in parser.take_items()] == ["chatcmpl-1"]
    assert parser.take_items() == []
    parser.feed(line(done(usage(1, 2)), number=2)[-40:])
    assert [item.response_id for item in parser.take_items()] == ["resp_01"]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (line({"error": {"type": "invalid_request_error"}}, status=400), "invalid_request_error"),
        (line({}, status=500), "server_error"),
        (line(None, error={"code": "batch_expired", "message": "x"}), "batch_expired"),
    ],
)
def test_a_failure_is_known_by_its_lines_id(sent: bytes, error: str) -> None:
    reading, (item,) = read(sent)
    assert reading.ended is True
    assert (item.response_id, item.error, item.parts, item.ended) == (
        "batch_req_1", error, (), True,
    )  # fmt: skip


def test_a_failed_response_keeps_its_own_id_and_usage() -> None:
    failed = response("failed", error={"code": "server_error"}, usage=usage(5, 6))
    (item,) = read(line(failed))[1]
    assert (item.response_id, item.error) == ("resp_01", "server_error")
    assert item.parts[0].output_tokens == 6


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"%PDF-1.7 \x00\xff" + b"x" * 99,
        b'{"messages":[{"role":"user","content":"hi"}]}\n' * 3,
        b'[{"custom_id":"x","response":{}}]',
        b'{"custom_id":"request-1","method":"POST","url":"/v1/responses","body":{}}\n',
        b'{"note":"\\"custom_id\\" is a word"}\n',
        b"{no json at all\n",
    ],
)
def test_a_file_that_holds_no_results(sent: bytes) -> None:
    reading, items = read(sent)
    assert (items, reading.ended, reading.notes) == ([], True, ())


def test_a_download_that_was_cut() -> None:
    reading, items = read(line(completion(20, 10)) + line(completion(1, 1), number=2)[:-30])
    assert (len(items), reading.ended, reading.notes) == (1, False, (notes.EVENT_UNREADABLE,))


def test_a_broken_line_costs_itself() -> None:
    reading, items = read(b'{"custom_id": oops\n' + line(completion(20, 10)))
    assert (len(items), reading.ended, reading.notes) == (1, True, (notes.EVENT_UNREADABLE,))


def test_a_foreign_file_is_not_kept() -> None:
    parser = open_parser()
    tracemalloc.start()
    for _ in range(64):
        parser.feed(b"\x00" * 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_download_that_was_refused() -> None:
    parser = open_parser(404)
    parser.feed(json.dumps({"error": {"type": "invalid_request_error"}}).encode())
    parser.close()
    assert parser.reading.error == "invalid_request_error"
    assert BATCH.read_request(b"") == RequestFacts()


LINES = [
    line(completion(20, 10)),
    line(done(usage(5, 6)), number=2),
    line(None, error={"code": "batch_expired"}),
    b"\n",
    b'{"custom_id":"x"}\n',
]


@given(lines=st.lists(st.sampled_from(LINES), max_size=5), rest=garbage(), draw=st.data())
def test_any_chunking_reads_the_same_and_garbage_never_raises(
    lines: list[bytes], rest: bytes, draw: st.DataObject
) -> None:
    sent = b"".join(lines) + rest
    parser = open_parser()
    items: list[Reading] = []
    for chunk in chunked(sent, draw.draw(cuts(len(sent)))):
        parser.feed(chunk)
        items += parser.take_items()
    parser.close()
    assert (parser.reading, items + parser.take_items()) == read(sent)
