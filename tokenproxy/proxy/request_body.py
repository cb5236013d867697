"""What a call asks: kept, or read while it comes, and the recorder's once it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from tokenproxy.proxy.backlog import Backlog
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire.bodyreader import BodyReader, read_facts
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.usage import RequestFacts

logger = logging.getLogger(__name__)

REQUEST_KEPT = 1024 * 1024
"""Bytes of a request that are kept to be read when it is over; what comes on top is read,
and reduced to what may matter, as it comes."""


class RequestBody:
    """Belongs to the event loop. Nothing here raises."""

    encoding = ""
    """Its ``Content-Encoding``."""

    def __init__(
        self,
        call_id: str,
        dialect: Dialect,
        recorder: Recorder,
        call_soon: Callable[..., object],
    ) -> None:
        """Prepare.

        Args:
            call_id: The call's.
            dialect: Likewise.
            recorder: Gets the body, or what it says.
            call_soon: The event loop's.
        """
        self.size = 0
        """Bytes so far, as sent."""
        self._call_id = call_id
        self._dialect = dialect
        self._recorder = recorder
        self._call_soon = call_soon
        self._kept: list[bytes] = []
        self._reader: BodyReader | None = None
        self._backlog: Backlog | None = None
        """Of what is compressed and read while it comes."""
        self._over = False
        self._then: Callable[[], None] | None = None
        """Waits for its being read."""
        self._told = False

    def take(self, data: bytes) -> None:
        """The next bytes, which are sent on before they are read."""
        self.size += len(data)
        if self._reader is not None:
            self._call_soon(self._read, data)
            return
        self._kept.append(data)
        if self.size > REQUEST_KEPT:
            self._reader = BodyReader(self.encoding)
            if self.encoding:
                self._backlog = Backlog(
                    self._reader.pieces, _exhaust, self._call_soon, self._all_is_read
                )
            for piece in self._kept:
                self._call_soon(self._read, piece)
            self._kept = []

    def _read(self, data: bytes) -> None:
        if self._reader is None or self._told:
            return
        if self._backlog is not None:
            self._backlog.read(data, 0)
        else:
            self._reader.feed(data)

    def _all_is_read(self) -> None:
        if self._over and not self._told:
            then, self._then = self._then, None
            self.over()
            if then is not None:
                then()

    def over(self, then: Callable[[], None] | None = None, *, at_once: bool = False) -> bool:
        """No more comes: tell the recorder, as soon as all is read.

        Args:
            then: Called after that, if it is not done yet.
            at_once: There is no time left for what would take long to read.

        Returns:
            Whether it is done.
        """
        self._over = True
        if self._told:
            return True
        if self._backlog is not None and self._backlog.waits:
            if not at_once:
                self._then = then or self._then
                return False
            self._backlog.finish()
        self._told, self._backlog = True, None
        if self._reader is not None:
            body, self._reader, encoding = self._reader.take(), None, ""
        else:
            body, self._kept, encoding = b"".join(self._kept), [], self.encoding
        if self._recorder.crowded and not encoding:
            # Here it takes as long, and no more calls come meanwhile than are read. What is
            # compressed is left where it holds up nobody: it may be any size.
            self._recorder.asked(self._call_id, self._facts_of(body))
        else:
            self._recorder.requested(self._call_id, body, encoding)
        return True

    def _facts_of(self, body: bytes | None) -> RequestFacts:
        try:
            return read_facts(self._dialect, body)
        except Exception:
            logger.exception("call %s: request not read", self._call_id)
            return RequestFacts()


def _exhaust(pieces: Iterable[object]) -> bool:
    """Read: that is done by taking them."""
    for _ in pieces:
        pass
    return True
