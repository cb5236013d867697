"""Traps of money: ways to be wrong that others have been wrong in, each named by its number."""

from __future__ import annotations

import msgspec
import pytest

from tests.record.make import MODEL, RUN, call, end, part, reading, start
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.record.row import Row
from tokenproxy.record.tally import Tally
from tokenproxy.wire.usage import RequestFacts


@pytest.fixture(scope="module")
def prices() -> Prices:
    made = Prices()
    made.load()
    return made


def test_t07_a_fallback_is_priced_at_the_model_that_served(prices: Prices) -> None:
    """Not at the requested one, which is twice as dear."""
    served = part(
        role="fallback_served",
        model="claude-sonnet-5-5",
        uncached_input_tokens=1_000,
        output_tokens=1_000,
    )
    declined = part(
        role="fallback_declined", model=MODEL, uncached_input_tokens=1_000, billable=False
    )
    answer = reading(declined, served, model="claude-sonnet-5-5", fallback=True)
    row = make_row(call(ended=end(read=answer), request=RequestFacts(model=MODEL)), RUN, prices)
    assert row.cost_usd == 0.012
    assert row.parts is not None
    assert [one.cost_usd for one in row.parts] == [0.0, 0.012]


def test_t07_without_parts_the_answers_model_is_the_priced_one(prices: Prices) -> None:
    answer = reading(part(output_tokens=1_000), model="claude-sonnet-5-5")
    row = make_row(call(ended=end(read=answer), request=RequestFacts(model=MODEL)), RUN, prices)
    assert row.cost_usd == 0.010006


def test_t24_unknown_model_has_no_cost(prices: Prices) -> None:
    """Absent and told, never 0: neither on the row nor in its line of JSON."""
    row = make_row(call(ended=end(read=reading(model="claude-next"))), RUN, prices)
    assert (row.input_tokens, row.output_tokens) == (3, 5)
    assert row.cost_usd is None
    assert row.price_version is None
    assert "cost_usd" not in msgspec.to_builtins(row)
    tally = Tally()
    tally.count(row)
    found = tally.summary()
    assert (found.unpriced, found.cost_usd) == (1, 0.0)
    assert found.warnings == (
        (
            "No price is known for claude-next (anthropic): its calls are not in the cost"
            " (config.toml can name one)."
        ),
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"service_tier": "priority"},
        {"speed": "ludicrous"},
        {"inference_geo": "atlantis"},
        {"server_tool_use": {"teleport_requests": 1}},
    ],
)
def test_t24_an_unknown_condition_has_no_cost(prices: Prices, odd: dict[str, object]) -> None:
    row = make_row(call(ended=end(read=reading(part(**odd)))), RUN, prices)
    assert row.cost_usd is None


def test_t24_one_part_without_a_price_leaves_the_whole_without_one(prices: Prices) -> None:
    """What the others cost stands at them."""
    unknown = part(role="advisor", model="claude-next")
    row = make_row(call(ended=end(read=reading(part(), unknown))), RUN, prices)
    assert row.cost_usd is None
    assert row.parts is not None
    assert [one.cost_usd is None for one in row.parts] == [False, True]


def test_t24_a_gateways_unknown_model_has_no_cost(prices: Prices) -> None:
    begun = msgspec.structs.replace(start(provider="llm.corp.example"), family="openai")
    row: Row = make_row(call(begun, end(read=reading(model="our-own"))), RUN, prices)
    assert row.cost_usd is None
