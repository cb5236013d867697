"""The known ways to count wrong between the wire and the ledger, by their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from tests.record.make import RUN, call, end, reading, start
from tests.wire.fixtures.anthropic import (
    CHEAP,
    MODEL,
    STOP,
    STRICT,
    counts,
    delta,
    entry,
    fallback,
    read_stream,
    text,
)
from tests.wire.fixtures.anthropic import start as begin
from tokenproxy.record import ledger
from tokenproxy.record.account import Account
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.record.row import Row
from tokenproxy.wire import notes, routes
from tokenproxy.wire.usage import Reading, RequestFacts


@pytest.fixture(scope="module")
def prices() -> Prices:
    made = Prices()
    made.load()
    return made


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    made = Account(
        run=RUN,
        ledger=tmp_path / "ledger.jsonl",
        journal=tmp_path / "journal-0.jsonl",
        sinks=(),
        dialects=routes.dialect,
        seen=tmp_path / "seen",
    )
    made._prices.load()
    yield made
    made.finish(None)


def rows(account: Account) -> list[Row]:
    assert account.settle() is None
    return [msgspec.convert(line.row, Row) for line in ledger.iter_rows(account._ledger)]


def declined(output: int) -> Reading:
    """A message that one model declined after so much output, and another one answered."""
    iterations = [
        entry("message", 1000, output, STRICT),
        entry("fallback_message", 4000, 200, CHEAP),
    ]
    return read_stream(
        begin(counts(1000, 1), model=STRICT)
        + (text("Hm") if output else b"")
        + fallback(STRICT, CHEAP, trigger={"type": "refusal", "category": "cyber"})
        + text("Hi!")
        + delta(counts(4000, 200, iterations=iterations))
        + STOP
    )


def test_t07_each_attempt_is_priced_as_its_own_model(prices: Prices) -> None:
    """Fable 5: $10 and $50 a million; Opus 4.8: $5 and $25."""
    asked = RequestFacts(model=STRICT)
    row = make_row(call(ended=end(read=declined(100)), request=asked), RUN, prices)
    assert [(part.model, part.cost_usd) for part in row.parts or ()] == [
        (STRICT, 0.015),
        (CHEAP, 0.025),
    ]
    assert (row.model, row.requested_model, row.cost_usd) == (CHEAP, STRICT, 0.04)


def test_t08_what_is_not_billed_is_shown_and_in_no_sum(prices: Prices) -> None:
    row = make_row(call(ended=end(read=declined(0))), RUN, prices)
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (4000, 200, 0.025)
    assert [(part.input_tokens, part.billable, part.cost_usd) for part in row.parts or ()] == [
        (1000, False, 0.0),
        (4000, None, 0.025),
    ]


def test_t12_a_compressed_request_names_its_model(account: Account) -> None:
    begun = msgspec.structs.replace(start("c-1"), dialect="anthropic.messages")
    body = json.dumps({"model": MODEL, "stream": True, "messages": []}).encode()
    account.open([begun])
    account.request("c-1", zstandard.compress(body), "zstd")
    account.close("c-1", end("error"))
    [row] = rows(account)
    assert (row.requested_model, row.stream) == (MODEL, True)


def test_t20_an_answer_that_is_fetched_again_has_no_second_row(account: Account) -> None:
    account.open([msgspec.structs.replace(start("c-1"), replayable=True)])
    account.close("c-1", end(read=reading(response_id="resp_1")))
    assert [row.response_id for row in rows(account)] == ["resp_1"]
    for name, fetched in (("c-2", "resp_1"), ("c-3", "resp_2"), ("c-4", "resp_2")):
        account.open([start(name, kind="replay")])
        account.close(name, end(items=[reading(response_id=fetched)]))
    assert [row.response_id for row in rows(account)] == ["resp_1", "resp_2"]


def test_t20_nor_has_it_one_if_its_first_is_not_written_yet(account: Account) -> None:
    account.open([msgspec.structs.replace(start("c-1"), replayable=True)])
    account.close("c-1", end(read=reading(response_id="resp_1")))
    account.open([start("c-2", kind="replay")])
    account.close("c-2", end(items=[reading(response_id="resp_1")]))
    assert [(row.call_id, row.response_id) for row in rows(account)] == [("c-1", "resp_1")]


def test_t20_an_answer_in_the_background_is_counted_by_the_first_look(account: Account) -> None:
    """Its own stream may end after somebody has looked at it."""
    answer = reading(response_id="resp_1")
    account.open([msgspec.structs.replace(start("c-1"), replayable=True)])
    account.asked("c-1", RequestFacts(model=MODEL, background=True))
    account.open([start("c-2", kind="replay")])
    account.close("c-2", end(items=[answer]))
    assert [(row.input_tokens, row.output_tokens) for row in rows(account)] == [(3, 5)]
    account.close("c-1", end(read=answer))
    first, second = rows(account)
    assert (first.response_id, second.response_id) == ("resp_1", "resp_1")
    assert (second.input_tokens, second.completeness) == (None, "none")
    assert second.notes == (notes.COUNTED_BEFORE,)


def test_t20_a_look_that_tells_no_usage_stands_for_no_other(account: Account) -> None:
    account.open([msgspec.structs.replace(start("c-1"), replayable=True)])
    account.asked("c-1", RequestFacts(model=MODEL, background=True))
    account.close("c-1", end(read=Reading(response_id="resp_1", deferred=True, ended=True)))
    account.open([start("c-2", kind="replay")])
    account.close("c-2", end(items=[reading(response_id="resp_1")]))
    assert [(row.response_id, row.input_tokens, row.output_tokens) for row in rows(account)] == [
        ("resp_1", None, None),
        ("resp_1", 3, 5),
    ]
