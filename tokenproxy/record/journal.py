"""The journal: what a run knows of its calls, on disk before the ledger has them.

Rules:

* One JSON record a line, appended; records of one call stand in the order of
  its life: ``open``, ``asked``, ``read`` (any number), ``end``, ``closed``.
* ``open`` is written before the request goes upstream, ``end`` before the row
  is appended, ``closed`` after. So at any moment of death a call is in the
  journal as open (its row is still to be made), as ended (its row may or may
  not be in the ledger: look there) or as closed (nothing to do).
* The owner holds ``flock`` on the file for life. Who gets that lock knows that
  the owner is dead, and may settle the account: see
  :mod:`tokenproxy.record.recovery`. Where the file system has no locks, a file
  beside it names the owner's process; one that cannot be looked at, in another container,
  is known to live by what it writes.
* ``open`` is preceded by a mark of the ledger's end at that time (in ``run`` or
  ``closed``): a call's row, if there is one, lies behind it.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

import msgspec

from tokenproxy.config import RunContext
from tokenproxy.record.call import Call, CallStart, identified
from tokenproxy.record.ledger import Mark
from tokenproxy.record.lineage import Link
from tokenproxy.record.lock_file import NO_FLOCK, take_by_name
from tokenproxy.record.row import UNENCODABLE, encode_lines
from tokenproxy.wire.usage import Reading, RequestFacts

logger = logging.getLogger(__name__)

FORMAT = 1
GLOB = "journal-*.jsonl"
UNFINISHED = "journal-*.jsonl*.new"
"""What is left where a rewriting owner was killed: the journal itself is still there."""
OWNERS = "journal-*.owner"

BEAT_S = 3600.0
"""How often an owner that only a file names writes something, if only a time stamp: others may
take it for dead that has written nothing for a day (:meth:`.lock_file.Holder.gone`)."""

NOWHERE = Mark()

_NO_FILE = -1


class _Record(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t"):
    pass


class Header(_Record, frozen=True, kw_only=True, tag="run"):
    """First record: whose calls these are and where their rows go."""

    format: int = FORMAT
    run: RunContext
    ledger: str
    mark: Mark


class Opened(_Record, frozen=True, kw_only=True, tag="open"):
    """A request is about to go upstream."""

    start: CallStart


class Asked(_Record, frozen=True, kw_only=True, tag="asked"):
    """The request's body has been read."""

    id: str
    request: RequestFacts
    link: Link


class Seen(_Record, frozen=True, kw_only=True, tag="read"):
    """What was known of the response at a moment."""

    id: str
    at_ns: int
    reading: Reading


class Ended(_Record, frozen=True, kw_only=True, tag="end"):
    """The call is over; its row is about to be appended."""

    call: Call


class Told(_Record, frozen=True, kw_only=True, tag="told"):
    """Sinks have these calls, though the ledger has not."""

    ids: tuple[str, ...]


class Closed(_Record, frozen=True, kw_only=True, tag="closed"):
    """The ledger has these calls, and ends there now."""

    ids: tuple[str, ...]
    mark: Mark | None = None


type Record = Header | Opened | Asked | Seen | Ended | Told | Closed

_decoder = msgspec.json.Decoder(Header | Opened | Asked | Seen | Ended | Told | Closed)


class Journal:
    """The owner's side: appends records. Not to be shared by threads."""

    COMPACT_BYTES: ClassVar[int] = 16 * 1024 * 1024
    """A journal that has grown so far since it was last compact is worth rewriting."""

    def __init__(self, path: Path, header: Header) -> None:
        """Make a journal of our own at ``path``, or beside it where the name is taken.

        Raises:
            OSError: It cannot be made.
        """
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[Record] = []
        self._torn = False
        self.path, self._fd = _create_owned(path)
        self._by_name = _owners_name(self.path).exists()
        self._size = 0
        self._compact_at = self.COMPACT_BYTES
        self.add(header)
        try:
            self.flush()
        except OSError:
            self.close(settled=True)
            raise

    @property
    def bloated(self) -> bool:
        """Whether :meth:`rewrite` is worth its while."""
        return self._size > self._compact_at

    def add(self, record: Record) -> None:
        """Put a record in line for the next :meth:`flush`."""
        self._waiting.append(record)

    def flush(self) -> None:
        """Write what is in line with one write.

        Raises:
            OSError: The disk did not take all of it; the records are given up.
        """
        if not self._waiting:
            return
        # First of all: what cannot be written must not stand in the way of all that follows.
        waiting, self._waiting = self._waiting, []
        data = self._encode(waiting)
        if self._torn:
            data = b"\n" + data
        self._torn = True
        _write_all(self._fd, data)
        self._torn = False
        self._size += len(data)

    def _encode(self, records: Sequence[Record]) -> bytes:
        """All records as lines; one that is no JSON is left out, and said in the log."""
        try:
            return encode_lines(self._encoder, records)
        except UNENCODABLE:
            lines = []
            for record in records:
                try:
                    lines.append(encode_lines(self._encoder, [record]))
                except UNENCODABLE:
                    logger.exception("a record of the journal is lost: %s", type(record).__name__)
            return b"".join(lines)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Begin anew with only these records, replacing the file at one stroke.

        A standing gateway closes calls for weeks; only those not yet closed matter. And a
        journal that a full disk has left with gaps is whole again.

        Raises:
            OSError: The old journal goes on.
        """
        self._compact_at = self._size + self.COMPACT_BYTES
        self._waiting = []  # what they tell is in ``records``
        data = self._encode(list(records))
        fresh, fd = _create_owned(self.path.with_name(f"{self.path.name}.new"))
        try:
            _write_all(fd, data)
            fresh.rename(self.path)
        except OSError:
            fresh.unlink(missing_ok=True)
            disown(fd, fresh)
            raise
        _owners_name(fresh).unlink(missing_ok=True)
        # The old file has no name any more: whoever gets its lock now sees that and leaves.
        os.close(self._fd)
        self._fd, self._size, self._torn = fd, len(data), False
        self._compact_at = self._size + self.COMPACT_BYTES

    def beat(self) -> float | None:
        """Show that its owner lives, where only that does. Returns when to come again, seconds."""
        if not self._by_name or self._fd == _NO_FILE:
            return None
        os.utime(self._fd)
        return BEAT_S

    def close(self, *, settled: bool) -> None:
        """Give the journal up: delete it if every call is closed, else leave it for recovery.

        Closing again is harmless.
        """
        if self._fd == _NO_FILE:
            return
        if settled:
            self.path.unlink(missing_ok=True)
        fd, self._fd = self._fd, _NO_FILE
        disown(fd, self.path)


def own_dead(path: Path) -> int | None:
    """Become the owner of a journal whose owner is dead.

    Returns:
        The open file, to be given up by :func:`disown`; None if the owner lives, or
        somebody else has settled the journal meanwhile.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if _own(fd, path):
        return fd
    os.close(fd)
    return None


def disown(fd: int, path: Path) -> None:
    """Be its owner no more."""
    os.close(fd)
    _owners_name(path).unlink(missing_ok=True)


class Pending:
    """What is known of a call that was not closed."""

    def __init__(self, start: CallStart, mark: Mark = NOWHERE) -> None:
        self.start = start
        self.mark = mark
        """The ledger's end when the call was opened."""
        self.request = RequestFacts()
        self.link = Link()
        self.asked = False
        """The request is known as far as it ever will be."""
        self.reading = Reading()
        self.last_ns = start.started_ns
        """Unix time of the last record, nanoseconds: the call lived at least so long."""
        self.ended: Call | None = None
        self.told = False

    def learn(self, record: Asked | Seen) -> None:
        """Take in what a record tells."""
        if isinstance(record, Asked):
            self.request, self.link, self.asked = record.request, record.link, True
            self.start = identified(self.start, record.request)
        else:
            self.reading, self.last_ns = record.reading, record.at_ns


class Replay:
    """A dead owner's journal, read to its end."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.foreign = False
        """It holds whole lines that are no records of ours."""
        self.pending: dict[str, Pending] = {}
        """Calls that were not closed, by call_id, in the order of their beginning."""
        self._mark = Mark()

    @classmethod
    def read(cls, file: IO[bytes]) -> Replay:
        """Replay a journal. A line that is torn or from a later version is passed over."""
        replay = cls()
        for line in file:
            try:
                record = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                replay.foreign |= line.endswith(b"\n")
                continue
            replay._take(record)
        return replay

    def _take(self, record: Record) -> None:
        match record:
            case Header():
                self.header = record
                self._mark = record.mark
            case Opened():
                self._begin(record.start)
            case Ended():
                self._begin(record.call.start).ended = record.call
            case Closed():
                for call_id in self.pending.keys() & record.ids:
                    del self.pending[call_id]
                self._mark = record.mark or self._mark
            case Told():
                for call_id in self.pending.keys() & record.ids:
                    self.pending[call_id].told = True
            case Asked() | Seen():
                if record.id in self.pending:
                    self.pending[record.id].learn(record)

    def _begin(self, start: CallStart) -> Pending:
        return self.pending.setdefault(start.call_id, Pending(start, self._mark))


def _create_owned(path: Path) -> tuple[Path, int]:
    """A new file that we own, with this name or, where it is taken, one beside it."""
    for number in itertools.count():
        candidate = path if not number else path.with_name(f"{path.stem}.{number}{path.suffix}")
        # A file in the directory's place is no taken name: this raises.
        candidate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(candidate, flags, 0o600)
        except FileExistsError:
            continue
        # Between its birth and our lock a recoverer may have taken it for a dead one's.
        if _own(fd, candidate):
            return candidate, fd
        os.close(fd)
    raise AssertionError


def _own(fd: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
    return _own_by_name(fd, path)


def _own_by_name(fd: int, path: Path) -> bool:
    name = _owners_name(path)
    if not take_by_name(name, lambda: os.fstat(fd).st_mtime):
        return False
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(fd), path.stat()):
            return True
    name.unlink(missing_ok=True)
    return False


def _owners_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _write_all(fd: int, data: bytes) -> None:
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])
