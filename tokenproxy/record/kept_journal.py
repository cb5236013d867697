"""An account's own journal, kept as whole as the disk lets it be.

A disk that is full takes some records and not others. The journal then has *gaps*, and is
written anew from all that the account knows, as soon as the disk takes that: so no method
here raises, and a journal that could not even be made is made later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tokenproxy.record import journal as wal
from tokenproxy.record.badge import Badge, badge_of

logger = logging.getLogger(__name__)

HEAL_S = 1.0
"""Between two tries to write a journal without gaps."""


class KeptJournal:
    """The journal, and the badge beside it. Belongs to its account's thread."""

    def __init__(
        self,
        path: Path,
        *,
        header: Callable[[], wal.Header],
        records: Callable[[], Iterable[wal.Record]],
        warn: Callable[[str], None],
    ) -> None:
        """Make it, if that can be.

        Args:
            path: Its own, a new file.
            header: What it begins with now.
            records: All that a new one must hold now, ``header`` included.
            warn: Takes a sentence for the user.
        """
        self._path = path
        self._header = header
        self._records = records
        self._warn = warn
        self._gaps = False
        """It lacks records that the disk did not take."""
        self._next_heal = 0.0
        self._journal: wal.Journal | None = None
        self.badge: Badge | None = None
        """What its owner makes locks of; None as long as there is no journal."""
        try:
            self._make()
        except OSError as error:
            self._complain(error)

    @property
    def whole(self) -> bool:
        """Whether it tells all that its account does not keep in mind."""
        return self._journal is not None and not self._gaps

    def add(self, record: wal.Record) -> None:
        """Put a record in line for the next :meth:`flush`."""
        if self._journal is not None:
            self._journal.add(record)

    def flush(self) -> None:
        """Write the records that wait."""
        if self._journal is not None:
            try:
                self._journal.flush()
            except OSError as error:
                self._next_heal = time.monotonic() + HEAL_S
                self._complain(error)

    def heal(self, *, at_once: bool = False) -> None:
        """Close its gaps, if it has any and it is time for a try.

        Only between two steps of the account, and as long as that has all records: what it
        does not tell is in no journal any more.
        """
        if not self._gaps or not (at_once or time.monotonic() >= self._next_heal):
            return
        self._next_heal = time.monotonic() + HEAL_S
        try:
            (self._journal or self._make()).rewrite(self._records())
        except OSError:
            return
        self._gaps = False

    def compact(self) -> None:
        """Make it small again if it has grown large; the same holds as for :meth:`heal`."""
        if self._journal is None or not self._journal.bloated:
            return
        try:
            self._journal.rewrite(self._records())
        except OSError as error:
            logger.warning("the journal cannot be rewritten: %s", error)

    def beat(self) -> float | None:
        """Show that its owner lives. Returns when to come again, seconds; None: never."""
        try:
            return self._journal.beat() if self._journal is not None else None
        except OSError:
            return wal.BEAT_S

    def close(self, *, settled: bool) -> None:
        """Give it up: nothing is left of it if every call is ``settled``."""
        if self._journal is not None:
            self._journal.close(settled=settled)
            self._journal = None
        if self.badge is not None:
            self.badge.remove()

    def _make(self) -> wal.Journal:
        self._journal = wal.Journal(self._path, self._header())
        self.badge = Badge(badge_of(self._journal.path))
        return self._journal

    def _complain(self, error: OSError) -> None:
        self._gaps = True
        self._warn(
            f"The journal cannot be written ({error.strerror or type(error).__name__}):"
            " calls would be missing if tokenproxy were killed."
        )
