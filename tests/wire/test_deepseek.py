from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.deepseek import hits
from tests.wire.fixtures.openai_chat import completion, read_json
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading, UsagePart


def read(stated: dict[str, Any]) -> Reading:
    return read_json(completion(stated), "deepseek.chat")


def test_hits_are_reads_and_misses_are_input() -> None:
    assert read(hits(1024, 500, 30)).parts == (
        UsagePart(uncached_input_tokens=500, cache_read_input_tokens=1024, output_tokens=30),
    )


def test_the_details_come_before_the_hits() -> None:
    [part] = read(hits(1024, 500, 30, cached=1000)).parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (524, 1000)


def test_the_kinds_stand_in_for_the_prompt() -> None:
    stated = {**hits(64, 6, 9), "prompt_tokens": None, "total_tokens": None}
    reading = read(stated)
    [part] = reading.parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (6, 64)
    assert reading.completeness == "final"


def test_kinds_that_do_not_add_up_are_noted() -> None:
    reading = read({**hits(64, 6, 9), "prompt_cache_miss_tokens": 7})
    assert (reading.completeness, reading.notes) == ("partial", (notes.INPUT_MISMATCH,))
    assert reading.parts[0].uncached_input_tokens == 6


@pytest.mark.parametrize("write", ["cache_creation_input_tokens", "cache_write_tokens"])
def test_there_are_no_cache_writes(write: str) -> None:
    [part] = read(hits(64, 6, 9, **{write: 6})).parts
    assert part.cache_creation_input_tokens is None
    assert part.uncached_input_tokens == 6
