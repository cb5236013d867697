"""Our prices against a second public table."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.real import needs
from tests.real.price_differences import KNOWN
from tests.real.prices import Comparison, compare, reason_of

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(needs.litellm_prices())


def test_every_difference_is_known(compared: Comparison) -> None:
    unexplained = [each for each in compared.differences if reason_of(each) is None]
    assert not unexplained, "\n".join(map(str, unexplained))


def test_what_is_known_is_still_so(compared: Comparison) -> None:
    used = {reason_of(each) for each in compared.differences}
    assert [known for known in KNOWN if known not in used] == []


def test_the_tables_are_compared_at_length(compared: Comparison) -> None:
    assert compared.models > 800
    assert compared.prices > 5_500


def test_the_vendors_of_most_calls_agree(compared: Comparison) -> None:
    """Standard prices of text: Anthropic's, and OpenAI's and Google's but for what is retired."""
    usual = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
    counted = Counter(each.provider for each in compared.differences if each.price in usual)
    assert counted["anthropic"] == 0
    assert counted["openai"] <= 6
    assert counted["google"] <= 6
    assert counted["deepseek"] == 3
