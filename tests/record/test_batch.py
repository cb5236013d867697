from __future__ import annotations

import uuid

import pytest

from tests.record.make import RUN, call, end, part, reading, start
from tokenproxy import ids
from tokenproxy.record.batch import derived_call_id, result_call_id, split
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.wire.usage import Reading, ResponseFacts


def test_each_result_becomes_a_call_of_its_own() -> None:
    items = [
        reading(part(service_tier="batch"), response_id="msg_1"),
        reading(response_id="msg_2"),
        Reading(error="invalid_request_error"),
    ]
    download = call(
        start(kind="batch_results"),
        end(items=items, response=ResponseFacts(request_id="req_9"), response_bytes=10_000),
    )
    prices = Prices()
    rows = [make_row(one, RUN, prices) for one in split(download)]
    assert [row.response_id for row in rows] == ["msg_1", "msg_2", None]
    assert [row.request_id for row in rows] == ["req_9"] * 3
    assert [row.service_tier for row in rows] == ["batch", "batch", None]
    assert [row.success for row in rows] == [True, True, False]
    assert [row.error for row in rows] == [None, None, "invalid_request_error"]
    assert rows[0].cost_usd == pytest.approx((3 * 4e-6 + 5 * 20e-6) / 2)
    assert rows[0].cost_usd == rows[1].cost_usd
    assert len({row.call_id for row in rows} | {download.start.call_id}) == 4
    assert len({row.span_id for row in rows} | {download.start.span_id}) == 4


def test_the_same_download_gives_the_same_ids() -> None:
    download = call(start(kind="batch_results"), end(items=[reading(), reading()]))
    first, again = ([one.start for one in split(download)] for _ in range(2))
    assert first == again


def test_derived_ids_are_of_version_7_and_of_the_same_time() -> None:
    parent = ids.uuid7()
    derived = [uuid.UUID(derived_call_id(parent, n)) for n in range(100)]
    assert len(set(derived)) == 100
    assert {one.version for one in derived} == {7}
    assert {one.variant for one in derived} == {uuid.RFC_4122}
    assert {one.int >> 80 for one in derived} == {uuid.UUID(parent).int >> 80}


def test_a_result_has_the_same_id_in_every_download() -> None:
    items = [reading(response_id="msg_1"), reading(response_id="msg_2")]
    first, again = (
        [one.start.call_id for one in split(call(start(kind="batch_results"), end(items=found)))]
        for found in (items, items[::-1])
    )
    assert first == again[::-1]
    assert len(set(first)) == 2
    assert {uuid.UUID(one).version for one in first} == {8}
    assert {uuid.UUID(one).variant for one in first} == {uuid.RFC_4122}
    assert result_call_id("other", "msg_1") != result_call_id("anthropic", "msg_1") == first[0]


def test_a_nameless_result_takes_its_id_from_the_download() -> None:
    items = [Reading(error="api_error"), Reading(error="api_error")]
    one, other = (
        [made.start.call_id for made in split(call(start(kind="batch_results"), end(items=items)))]
        for _ in range(2)
    )
    assert len({*one, *other}) == 4
