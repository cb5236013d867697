"""The known ways to count wrong in OpenAI's language, one test each, by their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.deepseek import hits
from tests.wire.fixtures.openai_chat import (
    DONE,
    chunk,
    completion,
    open_parser,
    read_json,
    read_stream,
    stop,
    text,
    usage,
)
from tokenproxy.record.price import Prices, Seller
from tokenproxy.wire import notes
from tokenproxy.wire.openai import CHAT
from tokenproxy.wire.openai.include_usage import ExtraChunkRemover, ask_for_usage
from tokenproxy.wire.usage import Reading, UsagePart


def inputs(part: UsagePart) -> tuple[int | None, int | None, int | None]:
    return (
        part.uncached_input_tokens,
        part.cache_read_input_tokens,
        part.cache_creation_input_tokens,
    )


def only(reading: Reading) -> UsagePart:
    [part] = reading.parts
    return part


def test_t13_a_key_cut_by_chunks_is_read() -> None:
    """Most chunks are passed over by their keys alone; those of an event, not of a piece of it."""
    body = text("Hello", " you.", usage=None) + stop(usage=None) + chunk(usage=usage(20, 7)) + DONE
    expected = read_stream(body)
    assert expected.parts == (UsagePart(uncached_input_tokens=20, output_tokens=7),)
    for cut in range(len(body) + 1):
        parser = open_parser()
        parser.feed(body[:cut])
        parser.feed(body[cut:])
        parser.close()
        assert parser.reading == expected


def test_t14_cached_tokens_are_inside_the_prompt() -> None:
    """18,014 is all of the input: 3 + 18,011 + 0."""
    details = {"cached_tokens": 18_011, "cache_write_tokens": 0}
    reading = read_json(completion({**usage(18_014, 5), "prompt_tokens_details": details}))
    assert inputs(only(reading)) == (3, 18_011, 0)


def test_t14_cache_writes_are_inside_the_prompt_too() -> None:
    details = {"cached_tokens": 10_000, "cache_write_tokens": 8000}
    for name in ("openai.chat", "openrouter.chat"):
        body = completion({**usage(18_014, 5), "prompt_tokens_details": details})
        assert inputs(only(read_json(body, name))) == (14, 10_000, 8000)


@pytest.mark.parametrize("name", ["openai.chat", "deepseek.chat", "groq.chat", "openrouter.chat"])
def test_t15_reasoning_is_inside_the_output(name: str) -> None:
    part = only(read_json(completion(usage(75, 1186, reasoning=1024)), name))
    assert (part.output_tokens, part.reasoning_output_tokens) == (1186, 1024)


def test_t15_also_where_no_total_says_so() -> None:
    stated = {**usage(75, 1186, reasoning=1024), "total_tokens": None}
    assert only(read_json(completion(stated))).output_tokens == 1186


def test_t16_xais_reasoning_is_beside_the_completion() -> None:
    """10,120 + 1499 + 2809 = 14,428."""
    stated = usage(10_120, 1499, total=14_428, reasoning=2809)
    part = only(read_json(completion(stated), "xai.chat"))
    assert (part.uncached_input_tokens, part.output_tokens) == (10_120, 4308)
    assert part.reasoning_output_tokens == 2809


def test_t16_also_where_no_total_says_so() -> None:
    stated = {**usage(10_120, 1499, reasoning=2809), "total_tokens": None}
    part = only(read_json(completion(stated), "xai.chat"))
    assert (part.output_tokens, part.reasoning_output_tokens) == (4308, 2809)


def test_t16_unless_the_total_has_it_inside() -> None:
    stated = usage(10_120, 4308, total=14_428, reasoning=2809)
    part = only(read_json(completion(stated), "xai.chat"))
    assert (part.output_tokens, part.reasoning_output_tokens) == (4308, 2809)


def test_t16_neither_way_is_said() -> None:
    reading = read_json(completion(usage(10, 20, total=99, reasoning=5)), "xai.chat")
    assert (reading.completeness, reading.notes) == ("partial", (notes.TOTAL_MISMATCH,))


def test_t18_a_miss_is_no_cache_write() -> None:
    part = only(read_json(completion(hits(1024, 500, 30)), "deepseek.chat"))
    assert inputs(part) == (500, 1024, None)


def test_t18_through_a_relay_too() -> None:
    assert inputs(only(read_json(completion(hits(1024, 500, 30))))) == (500, 1024, None)


@pytest.mark.parametrize("end", [DONE, b""])
def test_t19_a_stream_without_usage_counts_nothing_and_says_so(end: bytes) -> None:
    reading = read_stream(text("Hello.") + stop() + end)
    assert reading.parts == ()
    assert (reading.completeness, reading.notes) == ("none", (notes.INCLUDE_USAGE_ABSENT,))


@pytest.mark.parametrize(
    ("options", "asked"),
    [(b"{}", None), (b'{"include_usage":false}', False), (b'{"include_usage":true}', True)],
)
def test_t19_what_the_client_said_about_it_is_known(options: bytes, asked: bool | None) -> None:
    body = b'{"model":"m","messages":[],"stream":true,"stream_options":' + options + b"}"
    assert CHAT.read_request(body).include_usage is asked


def test_t19_a_usage_chunk_without_choices_counts() -> None:
    reading = read_stream(text("Hello.") + stop() + chunk(usage=usage(20, 7)) + DONE)
    assert only(reading) == UsagePart(uncached_input_tokens=20, output_tokens=7)
    assert reading.notes == ()


def test_t19_a_chunk_that_we_asked_for_does_not_reach_the_client() -> None:
    """Clients take the first choice of every chunk, and the extra one has none."""
    said, extra = text("Hello.") + stop(), chunk(usage=usage(20, 7))
    body = said + extra + DONE
    for step in (1, 100, len(body)):
        remover = ExtraChunkRemover()
        passed = b"".join(remover.feed(body[at : at + step]) for at in range(0, len(body), step))
        assert passed + remover.close() == said + DONE


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{"include_usage":false}', None),
        (b',"stream_options":{"include_usage":true}', None),
    ],
)
def test_t19_what_the_client_has_said_stays(said: bytes, asked: bytes | None) -> None:
    body = b'{"model":"m","stream":true'
    expected = None if asked is None else body + asked + b"}"
    assert ask_for_usage(body + said + b"}") == expected


@pytest.mark.parametrize("stated", [usage(20, 7), usage(20, 7, cached=10, reasoning=3)])
def test_t24_an_unknown_model_has_no_price_rather_than_none_to_pay(stated: dict[str, Any]) -> None:
    reading = read_json(completion(stated, model="no-such-model-7"))
    prices = Prices()
    for provider in ("openai", "x_ai", "nobody"):
        seller = Seller(provider=provider)
        cost = prices.cost(seller, reading.model or "", only(reading), 1_795_348_800 * 10**9)
        assert cost is None
