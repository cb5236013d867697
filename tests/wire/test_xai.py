from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.openai_chat import completion, read_json, usage
from tests.wire.fixtures.xai import beside
from tokenproxy.wire.usage import Reading, UsagePart


def read(stated: dict[str, Any]) -> Reading:
    return read_json(completion(stated), "xai.chat")


def test_reasoning_is_beside_the_completion_without_a_total_too() -> None:
    [part] = read({**usage(10, 80, reasoning=50), "total_tokens": None}).parts
    assert part == UsagePart(
        uncached_input_tokens=10, output_tokens=130, reasoning_output_tokens=50
    )


@pytest.mark.parametrize(
    ("ticks", "usd"),
    [
        (37_756_000, 0.0037756),
        (0, 0.0),
        (None, None),
        ("37756000", None),
        (True, None),
        (-1, None),
        (10**10, 1.0),
    ],
)
def test_ticks(ticks: object, usd: float | None) -> None:
    assert read(beside(1, 1, 0, cost_in_usd_ticks=ticks)).provider_cost_usd == usd


def test_the_first_models_had_another_name_for_cache_reads() -> None:
    [part] = read(usage(100, 5, cached_prompt_text_tokens=60)).parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (40, 60)


def test_idle_tools_are_none() -> None:
    tools = {"web_search_calls": 0, "x_search_calls": 4, "mcp_calls": 1}
    [part] = read(beside(1, 1, 0, server_side_tool_usage_details=tools)).parts
    assert part.server_tool_use == {"x_search_requests": 4, "mcp_requests": 1}
