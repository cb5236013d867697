from __future__ import annotations

from typing import Any

from tests.wire.fixtures.openai_chat import completion, read_json, usage
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading, UsagePart


def read(stated: dict[str, Any]) -> Reading:
    return read_json(completion(stated), "perplexity.chat")


def test_reasoning_and_citations_are_beside_whatever_the_total() -> None:
    for total in (110, 130, 160, 180):
        reading = read(usage(10, 100, total=total, reasoning_tokens=50, citation_tokens=20))
        assert reading.parts == (
            UsagePart(
                uncached_input_tokens=10,
                output_tokens=170,
                reasoning_output_tokens=50,
                modality_tokens={"output_citation": 20},
            ),
        )
        assert (reading.completeness, reading.notes) == ("final", ())


def test_a_total_that_fits_neither_is_noted() -> None:
    reading = read(usage(10, 100, total=111, reasoning_tokens=50))
    assert (reading.completeness, reading.notes) == ("partial", (notes.TOTAL_MISMATCH,))
    assert reading.parts[0].output_tokens == 150


def test_searches_and_cost() -> None:
    reading = read(usage(1, 1, num_search_queries=3, cost={"total_cost": 0.25}))
    assert reading.parts[0].server_tool_use == {"web_search_requests": 3}
    assert reading.provider_cost_usd == 0.25
