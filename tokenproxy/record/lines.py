"""Reading the ledger, whatever has been written into it.

A ledger is shared with the ancestor's writers and with crashes, so no content
raises: a line that is no row is told with its number. One fault of the ancestor
is forgiven, because nearly all its lines have it: numbers without the leading
zero (``"cost_usd": .060000``), which no strict JSON parser accepts.

:func:`verify` takes for a row what the reports do: an object with at least one value
under a row's key.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from tokenproxy.ids import DERIVED_VERSION
from tokenproxy.record.row import SCHEMA, Row

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; a longer line is none of ours and is not held in memory."""

_BLOCK = 256 * 1024
_NAMED_PROBLEMS = 100

_KNOWN = frozenset(Row.__struct_fields__)
_NEEDED = ("timestamp", "provider", "model")
"""Keys that each writer's rows have."""

_ENDS_EARLY = "Input data was truncated"
"""The parser's words."""

_STRING_OR_BARE_POINT = re.compile(rb'"(?:[^"\\]|\\.)*"|(?<![0-9.])\.(?=[0-9])')


class Line(msgspec.Struct, frozen=True):
    """One line of a ledger: a row or a problem."""

    number: int
    """From 1."""
    row: dict[str, Any] | None = None
    problem: str | None = None
    """Why it is no row, in few words."""
    repaired: bool = False
    """It was the ancestor's JSON, without leading zeros."""
    torn: bool = False
    """It is the last one and has no newline."""


class Verification(msgspec.Struct, kw_only=True):
    """What a ledger holds, counted."""

    rows: int = 0
    legacy: int = 0
    """Of these, rows of the ancestor (without ``schema``)."""
    repaired: int = 0
    """Of these, rows that strict JSON parsers refuse."""
    bad_lines: int = 0
    problems: list[str] = msgspec.field(default_factory=list)
    """The first hundred bad lines, ``line 17: ...``."""
    invalid: int = 0
    """Rows that break the schema they claim; the first hundred are among ``problems``."""
    duplicates: list[str] = msgspec.field(default_factory=list)
    """call_ids that are there more than once, those of ``refetched`` left out."""
    refetched: int = 0
    """Rows of batch results that are there already: downloaded again, and counted once."""
    torn_tail: bool = False
    """The last line has no newline: a writer was killed, or is at work."""

    @property
    def sound(self) -> bool:
        """Every line is a row, every row is valid and there once."""
        return not (self.bad_lines or self.invalid or self.duplicates)

    def note(self, number: int, problem: str) -> None:
        """Keep a problem for telling, unless there are too many to read."""
        if len(self.problems) < _NAMED_PROBLEMS:
            self.problems.append(f"line {number}: {problem}")


def iter_rows(path: Path) -> Iterator[Line]:
    """All lines from first to last, blank ones left out.

    Raises:
        OSError: The file cannot be opened or read.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(raw_lines(file), 1):
            if raw is None:
                yield Line(number, problem="longer than any row")
            elif raw.strip():
                yield _read(number, raw)


def tail_rows(path: Path, limit_bytes: int) -> Iterator[dict[str, Any]]:
    """The rows among the last ``limit_bytes``, newest first; what is no row is left out.

    Raises:
        OSError: The file cannot be opened or read.
    """
    with path.open("rb") as file:
        position = file.seek(0, 2)
        stop = max(position - limit_bytes, 0)
        # A line's pieces, the last one first, as long as where it begins was not read.
        pieces: list[bytes] = []
        held = 0
        while position > stop:
            size = min(_BLOCK, position - stop)
            position -= size
            file.seek(position)
            block = file.read(size)
            if b"\n" in block:
                first, *whole = block.split(b"\n")
                ended = [whole[-1], *reversed(pieces)]
                held += len(whole[-1])
                whole[-1] = b"".join(ended) if held < LONGEST_LINE else b""
                for raw in reversed(whole):
                    if len(raw) >= LONGEST_LINE or not raw.strip():
                        continue
                    if (row := _read(0, raw).row) is not None:
                        yield row
                pieces, held = [first], len(first)
            elif held < LONGEST_LINE:
                pieces.append(block)
                held += size
            else:
                pieces.clear()
        rest = b"".join(reversed(pieces)) if held < LONGEST_LINE else b""
        if position == 0 and rest.strip() and (row := _read(0, rest).row) is not None:
            yield row


def verify(path: Path) -> Verification:
    """Read a whole ledger and count what is wrong with it.

    Raises:
        OSError: The file cannot be opened or read.
    """
    found = Verification()
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for line in iter_rows(path):
        found.torn_tail = line.torn
        if line.row is None or not _has_a_value(line.row):
            found.bad_lines += 1
            found.note(line.number, line.problem or "not a row: it has none of a row's keys")
            continue
        found.rows += 1
        found.repaired += line.repaired
        problem = _violation(line.row)
        if problem is not None:
            found.invalid += 1
            found.note(line.number, problem)
        if "schema" not in line.row:
            found.legacy += 1
        call_id = line.row.get("call_id")
        if isinstance(call_id, str):
            if call_id in seen and _is_derived(call_id):
                found.refetched += 1
            elif call_id in seen:
                twice[call_id] = None
            seen.add(call_id)
    found.duplicates = list(twice)
    return found


def _is_derived(call_id: str) -> bool:
    """Whether it is made from a response's id: of an answer that can be fetched again."""
    try:
        return uuid.UUID(call_id).version == DERIVED_VERSION
    except ValueError:
        return False


def _has_a_value(value: dict[str, Any]) -> bool:
    return any(value[key] is not None for key in _KNOWN & value.keys())


def _violation(row: dict[str, Any]) -> str | None:
    """What of its own schema a row breaks; of others, a key that every row has."""
    if row.get("schema") != SCHEMA:
        lacking = [key for key in _NEEDED if key not in row]
        return f"a row without {' and '.join(lacking)}" if lacking else None
    try:
        msgspec.convert(row, Row)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def raw_lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines with their newline; None for one that is longer than :data:`LONGEST_LINE`."""
    while raw := file.readline(LONGEST_LINE):
        if len(raw) < LONGEST_LINE or raw.endswith(b"\n"):
            yield raw
            continue
        while (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
            pass
        yield None


def _read(number: int, raw: bytes) -> Line:
    torn = not raw.endswith(b"\n")
    text = raw.strip()
    repaired = False
    try:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            mended = _STRING_OR_BARE_POINT.sub(_mend, text)
            if mended == text:
                raise
            value = msgspec.json.decode(mended)
            repaired = True
    except msgspec.DecodeError as error:
        return Line(number, problem=_in_words(error, text, torn=torn), torn=torn)
    except UnicodeDecodeError:
        return Line(number, problem="not UTF-8", torn=torn)
    except RecursionError:
        return Line(number, problem="nested too deep", torn=torn)
    if not isinstance(value, dict):
        return Line(number, problem="not a JSON object", torn=torn)
    return Line(number, row=value, repaired=repaired, torn=torn)


def _in_words(error: msgspec.DecodeError, text: bytes, *, torn: bool) -> str:
    """What the parser found, for people."""
    if isinstance(error, msgspec.ValidationError):
        return "not a row: a number in it is too large"
    if torn or (str(error) == _ENDS_EARLY and not text.endswith(b"}")):
        return "cut short"
    return "not JSON"


def _mend(match: re.Match[bytes]) -> bytes:
    found = match.group()
    return b"0." if found == b"." else found
