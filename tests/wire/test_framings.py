"""One property for every framing: however the bytes are compressed and cut, the reading is one.

``HYPOTHESIS_PROFILE=framings`` tries each with 10,000 examples. A framing more is one
entry of ``FRAMINGS``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.anthropic import message, open_parser
from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts
from tests.wire.test_properties import streams, usages
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import ResponseParser
from tokenproxy.wire.framing.jsonstream import JsonStream
from tokenproxy.wire.usage import Reading


class Framing(NamedTuple):
    """How a framing is tried."""

    bodies: Callable[[], st.SearchStrategy[bytes]]
    """Bodies in it, each of which says some usage."""
    read: Callable[[list[bytes]], Any]
    """What is read of such a body in these chunks; fails if that is less than it says."""


FILLING = st.sampled_from(["Hi.", 'a\\"b\u2028', "x" * 2000, "\n{}[]\\" * 20_000])
"""Texts of answers; with the last of them a body is larger than is kept raw."""


def read_with(parser: ResponseParser, chunks: list[bytes]) -> tuple[Reading, list[Reading]]:
    for chunk in chunks:
        parser.feed(chunk)
    parser.close()
    return parser.reading, parser.take_items()


def read_stream(chunks: list[bytes]) -> Any:
    reading, items = read_with(open_parser(content_type="text/event-stream"), chunks)
    assert (reading.completeness, items) == ("final", [])
    return reading


def documents() -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda usage, text, indent: json.dumps(
            message(usage, content=[{"type": "text", "text": text}]), indent=indent
        ).encode(),
        usages(), FILLING, st.sampled_from([None, 2]),
    )  # fmt: skip


def read_document(chunks: list[bytes]) -> Any:
    reading, items = read_with(open_parser(content_type="application/json"), chunks)
    assert (reading.completeness, items) == ("final", [])
    return reading


def lines() -> st.SearchStrategy[bytes]:
    result = st.builds(
        lambda usage, text: {
            "result": {
                "type": "succeeded",
                "message": message(usage, content=[{"type": "text", "text": text}]),
            }
        },
        usages(), FILLING,
    )  # fmt: skip
    return st.builds(
        lambda results, end: b"".join(json.dumps(one).encode() + end for one in results),
        st.lists(result, min_size=1, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    )  # fmt: skip


def read_lines(chunks: list[bytes]) -> Any:
    reading, items = read_with(open_parser(operation="batch_results"), chunks)
    assert reading == Reading(ended=True)
    assert items
    return items


def arrays() -> st.SearchStrategy[bytes]:
    item = st.builds(
        lambda usage, text, indent: json.dumps(
            {"candidates": [{"text": text}], "usageMetadata": usage}, indent=indent
        ).encode(),
        usages(), FILLING, st.sampled_from([None, 2]),
    )  # fmt: skip
    return st.builds(
        lambda items, between: b"[" + between.join(items) + b"\n]\n",
        st.lists(item, min_size=1, max_size=4), st.sampled_from([b",", b"\r\n,", b",\r\n"]),
    )  # fmt: skip


def read_array(chunks: list[bytes]) -> Any:
    stream = JsonStream()
    items = [item for chunk in chunks for item in stream.feed(chunk)]
    assert stream.close() == []
    assert (stream.complete, stream.oversized) == (True, 0)
    assert items
    return [json.loads(item) for item in items]


FRAMINGS: dict[str, Framing] = {
    "sse": Framing(streams, read_stream),
    "ndjson": Framing(lines, read_lines),
    "json array": Framing(arrays, read_array),
    "json": Framing(documents, read_document),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=list(FRAMINGS))
@given(name=st.sampled_from(list(ENCODERS)), data=st.data())
def test_any_chunking_of_any_encoding_gives_the_same_reading(
    framing: Framing, name: str, data: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    body = data.draw(framing.bodies())
    encoded = encode(body)
    decoder = open_decoder(encoding)
    chunks = chunked(encoded, data.draw(cuts(len(encoded))))
    pieces = [piece for chunk in chunks for piece in decoder.pieces(chunk)]
    assert decoder.complete
    assert framing.read(pieces) == framing.read([body])
