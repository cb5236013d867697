"""One line about now: for a shell's prompt, or for the status line of Claude Code.

Claude Code calls the configured command at most every 300 ms with a JSON object on stdin
(``session_id``, ``model.display_name``, ...), and shows the first line of its output.

What was read is kept in a small file for each ledger, so that a look reads what was appended
since the last one. A first look at a large ledger reads its last :data:`FIRST_BYTES`.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from tokenproxy.insight.appended import Place, read_appended
from tokenproxy.insight.lately import Lately, Sums, read_call
from tokenproxy.units import si, usd

FIRST_BYTES = 4 * 1024 * 1024
STATUSLINE_SCHEMA = "tokenproxy.statusline/1"

_VERSION = 1
"""Of the file of sums."""


class Asked(msgspec.Struct, frozen=True):
    """What Claude Code tells, as far as it is used."""

    session_id: str | None = None
    model: str | None = None


class _Kept(msgspec.Struct):
    version: int
    place: Place
    lately: Lately


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the line says."""

    model: str | None = None
    session: Sums | None = None
    """None: there is no session, or it has made no call."""
    run: Sums | None = None
    """The run that wrote last; only where no session was asked for."""
    today: Sums

    def line(self) -> str:
        """For people."""
        what = (("", self.session), ("run", self.run), ("today", self.today))
        said = [_said(name, sums) for name, sums in what if sums is not None]
        return " · ".join(filter(None, (self.model, *said)))

    def as_json(self) -> dict[str, Any]:
        """The stable form; a sum that is a bound says so in ``bound``."""
        parts = {"session": self.session, "run": self.run, "today": self.today}
        return {
            "schema": STATUSLINE_SCHEMA,
            "model": self.model,
            **{name: None if sums is None else sums_as_json(sums) for name, sums in parts.items()},
        }


def sums_as_json(sums: Sums) -> dict[str, Any]:
    """Of some calls; ``bound`` is what stands before the cost: nothing, ≥, ≤ or ≈."""
    return {
        "calls": sums.calls,
        "failed": sums.failed,
        "incomplete": sums.incomplete,
        "unpriced": sums.unpriced,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cost_usd": sums.cost_usd,
        "bound": sums.cost_sign,
    }


def read_asked(text: bytes) -> Asked:
    """What stdin says; what is not understood is left out, for the line must not be lost for it."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Asked()
    if not isinstance(told, dict):
        return Asked()
    session, model = told.get("session_id"), told.get("model")
    name = model.get("display_name") or model.get("id") if isinstance(model, dict) else model
    return Asked(
        session if isinstance(session, str) else None, name if isinstance(name, str) else None
    )


def look(ledger: Path, state: Path, asked: Asked, now: datetime, zone: tzinfo) -> Status:
    """Read what was appended since the last look, and say how things are.

    Args:
        ledger: May not exist yet.
        state: Directory of the files of sums.
        asked: What is of interest.
        now: With its zone.
        zone: Whose midnight begins today.

    Raises:
        OSError: The ledger cannot be read.
    """
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    day_ms = int(midnight.timestamp() * 1000)
    file = state / "statusline" / _name(ledger, zone)
    lately = _look(ledger, file, day_ms)
    session = lately.sessions.get(asked.session_id) if asked.session_id else None
    run = lately.runs.get(lately.last_run) if lately.last_run and not asked.session_id else None
    if asked.session_id and session is None and not lately.sessions_lost:
        session = Sums()
    return Status(model=asked.model, session=session, run=run, today=lately.today)


def _look(ledger: Path, file: Path, day_ms: int) -> Lately:
    kept = _read(file)
    try:
        appended = read_appended(ledger, kept.place if kept else None, FIRST_BYTES)
    except FileNotFoundError:
        return Lately(day_ms)
    if kept is None or not appended.continues:
        lately = Lately.begin(day_ms, appended.lines, skipped=appended.skipped > 0)
    else:
        lately = kept.lately
        if not appended.lines and lately.day_ms == day_ms:
            return lately
        lately.turn_day(day_ms)
        lately.add(call for line in appended.lines if (call := read_call(line)))
    _write(file, _Kept(_VERSION, appended.place, lately))
    return lately


def _name(ledger: Path, zone: tzinfo) -> str:
    told = f"{ledger.resolve()}\0{zone}".encode(errors="surrogateescape")
    return hashlib.blake2b(told, digest_size=12).hexdigest()


def _read(file: Path) -> _Kept | None:
    """What was kept; nothing if it is not there, damaged or of another version."""
    try:
        kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None
    return kept if kept.version == _VERSION else None


def _write(file: Path, kept: _Kept) -> None:
    """In one step, so that nobody reads half of it; without it the next look is a first one."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            part.touch(mode=0o600)
            part.write_bytes(msgspec.msgpack.encode(kept))
            part.replace(file)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def _said(name: str, sums: Sums) -> str:
    tokens = f"{sums.sign}{si(sums.input_tokens)} in {sums.sign}{si(sums.output_tokens)} out"
    return " ".join(filter(None, (name, tokens, f"{sums.cost_sign}{usd(sums.cost_usd)}")))
