"""One property for every framing: however the bytes are compressed and cut, the reading is one.

``HYPOTHESIS_PROFILE=framings`` tries each with 10,000 examples. A framing more is one
entry of ``FRAMINGS``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, events
from wsproto.connection import Connection
from wsproto.extensions import Extension, PerMessageDeflate

from tests.wire.fixtures import bedrock, google
from tests.wire.fixtures.anthropic import message, open_parser
from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.openai.test_websocket import (
    Message,
    alone,
    asked,
    calls,
    create,
    lane_of,
    open_socket,
    reading_of,
)
from tests.wire.strategies import chunked, cuts
from tests.wire.test_properties import NUMBER, streams, usages
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.routes import dialect
from tokenproxy.wire.usage import Reading


class Framing(NamedTuple):
    """How a framing is tried."""

    bodies: Callable[[], st.SearchStrategy[bytes]]
    """Bodies in it, each of which says some usage."""
    read: Callable[[list[bytes]], Any]
    """What is read of such a body in these chunks; fails if that is less than it says."""


FILLING = st.sampled_from(["Hi.", 'a\\"b\u2028', "x" * 2000, "\n{}[]\\" * 8_000])
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
        lambda prompt, output, text, indent: json.dumps(
            google.chunk(
                google.candidate(text),
                usage=google.counts(prompt, output, prompt + output),
            ),
            indent=indent,
        ).encode(),
        NUMBER, NUMBER, FILLING, st.sampled_from([None, 2]),
    )  # fmt: skip
    last = json.dumps(google.chunk(google.candidate("", "STOP"), usage=google.counts(9, 2, 11)))
    return st.builds(
        lambda items, between: b"[" + between.join([*items, last.encode()]) + b"\n]\n",
        st.lists(item, max_size=4), st.sampled_from([b",", b"\r\n,", b",\r\n"]),
    )  # fmt: skip


def read_array(chunks: list[bytes]) -> Any:
    head = Head(status=200, content_type="application/json", model=google.FLASH)
    reading, items = read_with(dialect("google.generate_content").open_response(head), chunks)
    assert (reading.completeness, reading.ended, items) == ("final", True, [])
    return reading


def event_streams() -> st.SearchStrategy[bytes]:
    return streams().map(bedrock.chunks)


def read_event_stream(chunks: list[bytes]) -> Any:
    head = Head(status=200, content_type="application/vnd.amazon.eventstream", model=bedrock.CLAUDE)
    reading, items = read_with(dialect("bedrock.invoke").open_response(head), chunks)
    assert (reading.completeness, items) == ("final", [])
    return reading


FRAMINGS: dict[str, Framing] = {
    "sse": Framing(streams, read_stream),
    "ndjson": Framing(lines, read_lines),
    "json array": Framing(arrays, read_array),
    "json": Framing(documents, read_document),
    "aws eventstream": Framing(event_streams, read_event_stream),
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


def framed(messages: list[Message], *, deflate: bool, data: st.DataObject) -> bytes:
    """Messages as a server sends them, each in one frame or several."""
    server = Connection(ConnectionType.SERVER, _deflate() if deflate else [])
    sent = b""
    for one in messages:
        text = json.dumps(one)
        at = data.draw(st.lists(st.integers(0, len(text)), max_size=2).map(sorted))
        parts = [text[a:b] for a, b in pairwise([0, *at, len(text)])]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            sent += server.send(events.TextMessage(data=part, message_finished=last))
    return sent


def unframed(chunks: list[bytes], *, deflate: bool) -> list[bytes]:
    """The messages in such bytes."""
    client = Connection(ConnectionType.CLIENT, _deflate() if deflate else [])
    found, text = [], ""
    for chunk in chunks:
        client.receive_data(chunk)
        for event in client.events():
            assert isinstance(event, events.TextMessage)
            text += event.data
            if event.message_finished:
                found.append(text.encode())
                text = ""
    return found


def _deflate() -> list[Extension]:
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    return [extension]


@pytest.mark.timeout(3600)
@given(told=st.lists(calls(), min_size=1, max_size=3), deflate=st.booleans(), data=st.data())
def test_websocket_messages_read_the_same_in_any_frames_and_chunks(
    told: list[list[Message]], deflate: bool, data: st.DataObject
) -> None:
    """Several responses a connection, one after the other, each in some lane."""
    whole = [call for call in told if call[-1]["type"] != "response.output_item.done"]
    parser = open_socket()
    begun = [asked(parser, create(lane_of(call))) for call in whole]
    body = framed([message for call in whole for message in call], deflate=deflate, data=data)
    for one in unframed(chunked(body, data.draw(cuts(len(body)))), deflate=deflate):
        parser.server_message(one)
    assert [reading_of(news) for news in begun] == [alone(call) for call in whole]
