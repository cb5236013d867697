from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.anthropic import counts, message, open_parser, run
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading


def line(kind: str, identity: str = "msg_01", **more: Any) -> bytes:
    result: dict[str, Any] = {"type": kind, **more}
    if kind == "succeeded":
        result["message"] = {**message(counts(12, 55, service_tier="batch")), "id": identity}
    return json.dumps({"custom_id": f"mine-{identity}", "result": result}).encode() + b"\n"


RESULTS = (
    line("succeeded", "msg_01")
    + line("errored", error={"type": "error", "error": {"type": "invalid_request_error"}})
    + line("canceled", message=message(counts(7, 7)))
    + line("expired")
    + line("succeeded", "msg_02")
)


def read(body: bytes, step: int | None = None) -> tuple[Reading, list[Reading]]:
    parser = open_parser(content_type="application/x-jsonl", operation="batch_results")
    reading = run(parser, body, step=step)
    return reading, parser.take_items()


@pytest.mark.parametrize("step", [1, 100, None])
def test_only_what_succeeded_used_tokens(step: int | None) -> None:
    reading, items = read(RESULTS, step)
    assert reading == Reading(ended=True)
    assert [item.response_id for item in items] == ["msg_01", "msg_02"]
    for item in items:
        assert item.completeness == "final"
        assert item.ended
        [part] = item.parts
        assert (part.uncached_input_tokens, part.output_tokens) == (12, 55)
        assert part.service_tier == "batch"
    assert "mine" not in repr(items)


@pytest.mark.parametrize("tier", [None, "standard", 7])
def test_results_are_billed_as_a_batch_whatever_they_say(tier: Any) -> None:
    body = {"result": {"type": "succeeded", "message": message(counts(1, 2, service_tier=tier))}}
    _, [item] = read(json.dumps(body).encode())
    assert item.parts[0].service_tier == "batch"


def test_items_are_handed_over_once() -> None:
    parser = open_parser(operation="batch_results")
    assert parser.feed(line("succeeded", "msg_01")) is False
    assert [item.response_id for item in parser.take_items()] == ["msg_01"]
    assert parser.take_items() == []
    parser.feed(line("succeeded", "msg_02")[:-1])
    assert parser.take_items() == []
    parser.close()
    parser.close()
    assert [item.response_id for item in parser.take_items()] == ["msg_02"]


def test_a_cut_download() -> None:
    reading, items = read(RESULTS[:-30])
    assert not reading.ended
    assert reading.notes == (notes.EVENT_UNREADABLE,)
    assert [item.response_id for item in items] == ["msg_01"]


def test_an_unreadable_line_costs_only_itself() -> None:
    reading, items = read(b"oops\n{}\n[]\n" + b'{"result":null}\n' + RESULTS)
    assert reading.ended
    assert reading.notes == (notes.EVENT_UNREADABLE,)
    assert len(items) == 2


def test_memory_is_bounded_by_what_is_not_taken() -> None:
    parser = open_parser(operation="batch_results")
    taken = 0
    for at in range(1000):
        parser.feed(line("succeeded", f"msg_{at}"))
        taken += len(parser.take_items())
    parser.close()
    assert taken == 1000


def test_a_line_too_long_is_noted() -> None:
    parser = open_parser(operation="batch_results")
    parser.feed(line("succeeded"))
    for _ in range(33):
        parser.feed(b"x" * (1 << 20))
    parser.feed(b"\n" + line("succeeded", "msg_02"))
    parser.close()
    assert parser.reading.notes == (notes.EVENT_TOO_LARGE,)
    assert len(parser.take_items()) == 2


def test_an_error_instead_of_results() -> None:
    parser = open_parser(status=404, operation="batch_results")
    reading = run(parser, b'{"type":"error","error":{"type":"not_found_error"}}')
    assert reading.error == "not_found_error"
    assert parser.take_items() == []


@given(data=st.data(), body=garbage())
def test_any_chunking_gives_the_same_items(data: st.DataObject, body: bytes) -> None:
    body = line("succeeded") + body + b"\n" + line("succeeded", "msg_02")
    parser = open_parser(operation="batch_results")
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(chunk)
    parser.close()
    assert (parser.reading, parser.take_items()) == read(body)
