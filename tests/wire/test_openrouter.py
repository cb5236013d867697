from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.openai_chat import completion, read_json
from tests.wire.fixtures.openrouter import charged
from tokenproxy.wire import notes
from tokenproxy.wire.openrouter import cost
from tokenproxy.wire.usage import Reading


def read(stated: dict[str, Any]) -> Reading:
    return read_json(completion(stated), "openrouter.chat")


@pytest.mark.parametrize(
    ("usage", "usd", "said"),
    [
        ({"cost": 0.5}, 0.5, ()),
        ({"cost": 0}, 0.0, ()),
        ({"cost": 0.5, "cost_details": {"upstream_inference_cost": 0.25}}, 0.5, ()),
        (
            {"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}},
            0.75,
            (notes.BYOK,),
        ),
        ({"cost": 0.5, "is_byok": True}, None, (notes.BYOK,)),
        ({"cost": "0.5"}, None, ()),
        ({"cost": -1}, None, ()),
        ({"cost": float("nan")}, None, ()),
        ({"cost": float("inf")}, None, ()),
        ({"cost": True}, None, ()),
        ({}, None, ()),
    ],
)
def test_cost(usage: dict[str, Any], usd: float | None, said: tuple[str, ...]) -> None:
    assert cost(usage) == (usd, said)


def test_searches_by_the_old_name_and_no_sums() -> None:
    [part] = read(charged(1, 1, 0.1, server_tool_use={"web_search_requests": 2})).parts
    assert part.server_tool_use == {"web_search_requests": 2}
    table = {"tool_calls_requested": 3, "tool_calls_executed": 2}
    [part] = read(charged(1, 1, 0.1, server_tool_use_details=table)).parts
    assert part.server_tool_use == {}


def test_the_models_name_is_the_one_that_served() -> None:
    assert read_json(completion(None, model="a/b"), "openrouter.chat").model == "a/b"
