"""Streams of events as nobody should send them, and what of their events must be told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from hypothesis import strategies as st

from tokenproxy.wire.framing.sse import Event

LINES = (
    b"event: a", b"event: ping", b"event: ", b"event:b ", b"event: ping ",
    b"event: content_block_delta\ndata: {}\n", b"event: ping\ndata: 1\n",
    b"event: ping\r\ndata: 2\r\n", b"event: ping\ndata: event: ping\n",
    b"event: ping\ndata: 1\nevent: a\n",
    b"data: {}", b"data:  1", b"data:", b"data: 2\r\n", b"data: 3\n",
    b"data: {}\n", b'data: {"b":2}\n', b'data: {"a":1}\n', b'data: {"a":null}\n',
    b'data: {"b":"\\"a\\":1"}\n', b'data: {"b":"data: {"}\r\n', b'data: {"a" : 1}\r\n',
    b"data: {\n", b"data: {} \n", b"data: {\r}\n", b"data: {" + b"x" * 27 + b"}\n",
    b"data: {" + b"x" * 30 + b"}\n",
    b"data: " + b"x" * 40, b"data: \xe2\x80\xa8",
    b": so", b"id: 7", b"\xef\xbb\xbf", b"", b"\r", b"a\rb",
)  # fmt: skip

STREAM = st.lists(
    st.sampled_from(LINES),
    max_size=30,
).flatmap(
    lambda lines: st.lists(
        st.sampled_from([b"\n", b"\n", b"\n\n", b"\r\n", b"\r", b"\r\n\r\n", b""]),
        min_size=len(lines),
        max_size=len(lines),
    ).map(lambda ends: b"".join(line + end for line, end in zip(lines, ends, strict=True)))
)
"""Bodies of lines with ends of any kind: events whole and not, wanted and not."""

SOUGHT = re.compile(rb'"a"\s*:\s*[^\sn]')
"""What an object without a name must have in it to be told."""


def told(events: Iterable[Event]) -> list[Event]:
    """Events without those that need not be told.

    Skipped ones that repeat the one before, and objects in which ``SOUGHT`` is not found.
    """
    matter = [event for event in events if not _passed_over(event)]
    rows = [(event, list(row)) for event, row in groupby(matter)]
    return [each for event, row in rows for each in (row[:1] if event.data is None else row)]


def _passed_over(event: Event) -> bool:
    data = event.data or b""
    if event.name or event.torn or not (data.startswith(b"{") and data.endswith(b"}")):
        return False
    return SOUGHT.search(data) is None
