"""Credentials taken out of what is kept of bodies.

Two ways, because neither is enough: the very credentials that came with the call, wherever they
stand (:mod:`.credentials`); and whatever looks like one (:mod:`.credential_shapes`). Both are
looked for in the body as it is, and in the text that a stream's events make together
(:mod:`.redact_events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tokenproxy.record.credential_shapes import Span, look_alikes, unescaped
from tokenproxy.record.credentials import brought, forms
from tokenproxy.record.redact_events import clean_events

MARK: Final = b"[redacted]"


class Redactor:
    """Takes credentials out of one call's bodies.

    Args:
        headers: the request's, names in lower case; its credentials are remembered.
        path: the request's, with its query; likewise.
    """

    def __init__(self, headers: Mapping[str, str], path: str = "") -> None:
        self._own = {form for value in brought(headers, path) for form in forms(value)}

    def clean(self, body: bytes) -> bytes:
        """The body without them."""
        # First what lies across events: a part of it in one of them may look like a whole one.
        clean = self._clean(clean_events(body, self._find))
        plain = unescaped(clean)
        if plain != clean and (cleaner := self._clean(plain)) != plain:
            clean = cleaner
        return clean

    def _clean(self, body: bytes) -> bytes:
        kept, at = [], 0
        for begin, end in self._find(body):
            kept += [body[at:begin], MARK]
            at = end
        return b"".join([*kept, body[at:]])

    def _find(self, text: bytes) -> list[Span]:
        """Where they stand, in order, none in another."""
        return _apart([*self._brought(text), *look_alikes(text)])

    def _brought(self, text: bytes) -> Iterator[Span]:
        for own in self._own:
            at = text.find(own)
            while at >= 0:
                yield at, at + len(own)
                at = text.find(own, at + 1)


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Those that overlap as one, in order."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined
