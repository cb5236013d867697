"""Span ids that were decided before the span was made.

The launcher hands the iteration's ids to the command, a call's ids stand in the
ledger, and parents are exported after their children: so the SDK must use our ids,
and its only seam for that is the id generator.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator


class GivenIds(IdGenerator):
    """Hands out the ids of the enclosing :meth:`given` block, of this thread only.

    Outside such a block ids are random, as the SDK's own.
    """

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._local = threading.local()

    @contextmanager
    def given(self, trace_id: str, span_id: str) -> Iterator[None]:
        """The next span started in this thread gets these ids (hex digits)."""
        self._local.ids = int(trace_id, 16), int(span_id, 16)
        try:
            yield
        finally:
            self._local.ids = None

    def generate_trace_id(self) -> int:
        """Asked for only when a span has no parent."""
        ids: tuple[int, int] | None = getattr(self._local, "ids", None)
        return self._random.generate_trace_id() if ids is None else ids[0]

    def generate_span_id(self) -> int:
        """Asked for once a span."""
        ids: tuple[int, int] | None = getattr(self._local, "ids", None)
        return self._random.generate_span_id() if ids is None else ids[1]
