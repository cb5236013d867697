"""Credentials that a model writes in several events of a stream.

No event has the whole of one, so none is found in the body as it is. The rules:

* Events are lines of JSON, behind ``data:`` or not, or the elements of a JSON array that is the
  whole body.
* What stands in the same place of one event after the other is one text: strings under the same
  keys, with the same numbers beside them that tell choices and content blocks apart.
* A credential that is found in such a text goes out of every event that has a part of it; the
  mark stands where it began. The other events stay as they are, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from tokenproxy.record.credential_shapes import Span

MARK: Final = b"[redacted]"

type Find = Callable[[bytes], Sequence[Span]]
"""Where credentials stand in a text, in order, none in another."""

_LONGEST_EVENT: Final = 256 * 1024
_LONGEST_ARRAY: Final = 4 * 1024 * 1024
"""Bytes of what is parsed at once: meanwhile no other thread runs."""

_TELL_APART: Final = ("index", "output_index", "content_index", "summary_index", "tool_call_id")
_SAME_EACH_TIME: Final = frozenset(
    {"type", "object", "model", "id", "role", "event", "event_id", "item_id", "response_id",
     "call_id", "system_fingerprint", "modelVersion", "responseId", "finish_reason"}
)  # fmt: skip
"""Their values are no text."""
_MORE: Final = frozenset({"bytes", "top_logprobs"})
"""Beside a token with its probability: the same text as numbers, and what it might have been."""
_DEEPEST: Final = 32
_ELEMENT: Final = re.compile(r"\s*[\[,]\s*(?=[{\[])")
_EVENT: Final = re.compile(rb"[ \t]*(?:data:[ \t]*)?(?=[{\[])")


class _Piece(NamedTuple):
    event: _Event
    holder: Any
    """A dict or a list."""
    key: Any
    text: str


class _Event:
    def __init__(self, head: bytes, raw: bytes, value: Any) -> None:
        self.head = head
        """What stands before it, to be kept."""
        self.raw = raw
        self.value = value
        self.changed = False

    def encoded(self) -> bytes:
        """As it is, or anew if something was taken out."""
        raw = json.dumps(self.value, separators=(",", ":")).encode() if self.changed else self.raw
        return self.head + raw


def clean_events(body: bytes, find: Find) -> bytes:
    """The body without the credentials that lie across its events.

    Args:
        body: of a response or a request; one that has no events stays as it is.
        find: finds credentials.
    """
    first = body[:64].lstrip()[:1]
    pieces = list(_elements(body) if first == b"[" else _lines(body))
    events = [piece for piece in pieces if isinstance(piece, _Event)]
    if not events and first == b"{" and b'"logprobs"' in body:
        events = list(_whole(body))
        pieces = [*events]
    _clean(events, find)
    if not any(event.changed for event in events):
        return body
    return b"".join(piece.encoded() if isinstance(piece, _Event) else piece for piece in pieces)


def _lines(body: bytes) -> Iterator[_Event | bytes]:
    """Events, and what stands between them."""
    for line in body.splitlines(keepends=True):
        head = _EVENT.match(line)
        value = None
        if head is not None and len(line) <= _LONGEST_EVENT:
            with suppress(ValueError, RecursionError):
                value = json.loads(line[head.end() :])
        if head is None or value is None:
            yield line
        else:
            raw = line[head.end() :].rstrip(b"\r\n")
            yield _Event(head[0], raw, value)
            yield line[head.end() + len(raw) :]


def _whole(body: bytes) -> Iterator[_Event]:
    if len(body) <= _LONGEST_ARRAY:
        with suppress(ValueError, RecursionError):
            yield _Event(b"", body, json.loads(body))


def _elements(body: bytes) -> Iterator[_Event | bytes]:
    """The elements of an array that may be cut off, and what stands between them."""
    at = 0
    if len(body) <= _LONGEST_ARRAY:
        decoder = json.JSONDecoder()
        # A character a byte: places in the text are places in the body.
        text = body.decode("latin-1")
        with suppress(ValueError, RecursionError):
            while (start := _ELEMENT.match(text, at)) is not None:
                _, end = decoder.raw_decode(text, start.end())
                raw = body[start.end() : end]
                yield _Event(body[at : start.end()], raw, json.loads(raw))
                at = end
    yield body[at:]


def _clean(events: list[_Event], find: Find) -> None:
    texts: dict[tuple[Any, ...], list[_Piece]] = defaultdict(list)
    for event in events:
        for place, holder, key, text in _strings(event.value, (), _DEEPEST):
            texts[place].append(_Piece(event, holder, key, text))
    for pieces in texts.values():
        # One event's strings are found in the body as it is, but for what tells them once more.
        if len(events) > 1 or _MORE.intersection(pieces[0].holder):
            _clean_text(pieces, find)


def _strings(
    value: Any,
    place: tuple[Any, ...],
    deeper: int,
) -> Iterator[tuple[tuple[Any, ...], Any, Any, str]]:
    """Every string with its place, who holds it and under which key."""
    if not deeper:
        return
    if isinstance(value, dict):
        apart = tuple(value[name] for name in _TELL_APART if isinstance(value.get(name), int | str))
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        apart, items = (), enumerate(value)
    else:
        return
    for key, inner in items:
        if key in _SAME_EACH_TIME:
            continue
        # Of a list one element goes on where the last ended, as tokens with their probabilities.
        there = (*place, *apart, "" if isinstance(value, list) else key)
        if isinstance(inner, str):
            yield there, value, key, inner
        else:
            yield from _strings(inner, there, deeper - 1)


def _clean_text(pieces: list[_Piece], find: Find) -> None:
    parts = [piece.text.encode("utf-8", "surrogatepass") for piece in pieces]
    found = deque(find(b"".join(parts)))
    begin = 0
    for piece, part in zip(pieces, parts, strict=True):
        end = begin + len(part)
        touched = []
        while found and found[0][0] < end:
            touched.append(found[0])
            if found[0][1] > end:  # it goes on in the next
                break
            found.popleft()
        if touched and part:
            _take_out(piece, part, begin, touched)
        begin = end


def _take_out(piece: _Piece, part: bytes, begin: int, spans: list[Span]) -> None:
    kept, at = [], 0
    for first, last in spans:
        kept.append(part[at : max(first - begin, 0)])
        if first >= begin:
            kept.append(MARK)
        at = min(last - begin, len(part))
    kept.append(part[at:])
    piece.holder[piece.key] = b"".join(kept).decode("utf-8", "replace")
    if isinstance(piece.holder, dict):
        for key in _MORE.intersection(piece.holder):
            if isinstance(piece.holder[key], list):
                piece.holder[key] = []
    piece.event.changed = True
