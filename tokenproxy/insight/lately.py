"""Sums of a ledger that grow with it: of today, of each session and of each run.

They say what they are worth, because a look at a large ledger begins in its middle and
remembers only so many calls: a sum may lack calls from before (then it is a lower bound), or
have one twice that was written again long after (then it is an upper one).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

SESSIONS, RUNS, CALLS, OLDER = 1000, 200, 300, 10_000
"""How many are remembered, the latest; of older calls no more than that they were counted."""

_EVER = 2**53
_SLACK_MS = 3_600_000
"""Calls end in another order than they begin."""

_RANKS = {"final": 0, "partial": 1, "none": 2}
_FIRST_ERROR_STATUS = 400
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a row that are looked at."""

    timestamp: str | None = None
    call_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    story_id: str | None = None
    model: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    outcome: str | None = None
    completeness: str | None = None
    success: bool | None = None
    status_code: int | None = None
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    provider_cost_usd: float | None = None

    @property
    def spent_usd(self) -> float | None:
        """As ``Row.spent_usd``."""
        return self.cost_usd if self.provider_cost_usd is None else self.provider_cost_usd

    @property
    def rank(self) -> int:
        """Of two rows of one call, the lower counts."""
        return _RANKS.get(self.completeness or "", 3)

    @property
    def incomplete(self) -> bool:
        """It was, or may have been, billed for more than it tells."""
        if self.completeness == "none":
            answered = self.status_code is not None and self.status_code < _FIRST_ERROR_STATUS
            return answered or self.outcome in {"aborted", "truncated", "lost"}
        return self.completeness == "partial"

    @property
    def unpriced(self) -> bool:
        """It tells what it used, and what that costs is not known."""
        told = self.input_tokens is not None or self.output_tokens is not None
        used = told if self.completeness is None else self.completeness != "none"
        return used and self.spent_usd is None

    @property
    def agent(self) -> str:
        """As the dimension of that name."""
        return self.agent_type or ("main" if self.agent_id is None else "subagent")

    @property
    def started_ms(self) -> int | None:
        """Unix time."""
        return None if self.timestamp is None else moment_ms(self.timestamp)


_FIELDS = msgspec.structs.fields(Call)
_decoder = msgspec.json.Decoder(Call)


def read_call(line: bytes) -> Call | None:
    """The call on a line, as the reports read it: what is of a wrong type is unknown."""
    try:
        call = _decoder.decode(line)
        if call.call_id is not None and call.timestamp is not None:
            return call
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    from tokenproxy.insight.raw_lines import mend_line  # a prompt waits for the import

    row = mend_line(line)
    if row is None:
        return None
    return Call(**{one.name: _typed(row.get(one.name), one.type) for one in _FIELDS})


def _typed(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


class Sums(msgspec.Struct, array_like=True):
    """Of some calls. Counts of tokens are of those that tell."""

    calls: int = 0
    failed: int = 0
    incomplete: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    lacks: bool = False
    """There may be calls from before the first look."""
    doubles: bool = False
    """A call may be in it twice."""

    def add(self, call: Call, sign: Literal[1, -1] = 1) -> None:
        """Count a call, or count it no more."""
        self.calls += sign
        self.failed += sign * (not call.success)
        self.incomplete += sign * call.incomplete
        self.unpriced += sign * call.unpriced
        self.input_tokens += sign * (call.input_tokens or 0)
        self.output_tokens += sign * (call.output_tokens or 0)
        self.cost_usd = round(self.cost_usd + sign * (call.spent_usd or 0.0), 12)

    @property
    def count_sign(self) -> str:
        """What stands before counts of calls."""
        return _sign(lower=self.lacks, upper=self.doubles)

    @property
    def sign(self) -> str:
        """What stands before the counts of tokens."""
        return _sign(lower=self.lacks or self.incomplete > 0, upper=self.doubles)

    @property
    def cost_sign(self) -> str:
        """What stands before the money."""
        lower = self.lacks or self.incomplete > 0 or self.unpriced > 0
        return _sign(lower=lower, upper=self.doubles)


def _sign(*, lower: bool, upper: bool) -> str:
    return ("≈" if upper else "≥") if lower else ("≤" if upper else "")


class Lately(msgspec.Struct):
    """All the sums, and the calls that may be written again."""

    day_ms: int
    """Unix time at which today began."""
    today: Sums = msgspec.field(default_factory=Sums)
    sessions: dict[str, Sums] = msgspec.field(default_factory=dict)
    runs: dict[str, Sums] = msgspec.field(default_factory=dict)
    calls: dict[str, Call] = msgspec.field(default_factory=dict)
    """By call_id, the latest last."""
    older: list[int] = msgspec.field(default_factory=list)
    """Hashes of the call_ids of calls before those."""
    sessions_lost: bool = False
    """A session that is not known may have calls from before."""
    runs_lost_ms: int | None = None
    """So may a run that began until then; None: no run."""
    calls_lost_ms: int | None = None
    """A call that began until then, and is not known, may have been counted; None: no call."""
    last_run: str | None = None

    @classmethod
    def begin(cls, day_ms: int, lines: Iterable[bytes], *, skipped: bool) -> Lately:
        """Look for the first time.

        Args:
            day_ms: Unix time at which today began.
            lines: The ledger's, or its last ones.
            skipped: There are others before.
        """
        found = [call for line in lines if (call := read_call(line))]
        lately = cls(day_ms, sessions_lost=skipped)
        if skipped:
            # Rows stand in the order in which calls ended: what is not read ended before this.
            since = _ended_ms(found[0]) if found else None
            lately.runs_lost_ms = _EVER if since is None else since
            lately.today.lacks = not (found and ended_before(found[0], day_ms))
        lately.add(found)
        return lately

    def turn_day(self, day_ms: int) -> None:
        """Begin a new day: its calls are all written after its beginning."""
        if day_ms > self.day_ms:
            self.day_ms, self.today = day_ms, Sums()

    def add(self, calls: Iterable[Call]) -> None:
        """Count calls that were appended; one that is known counts once, in its fullest form."""
        older = set(self.older)
        for call in calls:
            known = self.calls.get(call.call_id) if call.call_id else None
            if known is not None and call.rank >= known.rank:
                continue
            if known is not None:
                for sums in self._sums(known):
                    sums.add(known, -1)
            counted = call.call_id is not None and known is None and _hash(call.call_id) in older
            doubtful = known is None and self._may_be_known(call)
            for sums in self._sums(call):
                if counted:
                    # What it said first cannot be taken back. It was no more than this says.
                    sums.lacks |= call.rank == 0 and sums.incomplete > 0
                else:
                    sums.add(call)
                    sums.doubles |= doubtful
            if call.call_id and not counted:
                self.calls[call.call_id] = call
                self._forget(older)

    def _forget(self, older: set[int]) -> None:
        if len(self.calls) > CALLS:
            gone = self.calls.pop(next(iter(self.calls)))
            digest = _hash(gone.call_id or "")
            older.add(digest)
            self.older.append(digest)
        if len(self.older) > 2 * OLDER:
            lost = self.older[:OLDER]
            del self.older[:OLDER]
            older.difference_update(lost)
            # Those after it began later, or not much earlier.
            oldest = next(iter(self.calls.values())).started_ms
            self.calls_lost_ms = max(self.calls_lost_ms or 0, (oldest or _EVER) - _SLACK_MS)

    def _sums(self, call: Call) -> list[Sums]:
        """What the call is part of."""
        found = []
        started = call.started_ms
        if started is not None and started >= self.day_ms:
            found.append(self.today)
        if call.session_id:
            if call.session_id not in self.sessions and len(self.sessions) >= SESSIONS:
                del self.sessions[next(iter(self.sessions))]
                self.sessions_lost = True
            found.append(_latest(self.sessions, call.session_id, lacks=self.sessions_lost))
        if call.run_id:
            self.last_run = call.run_id
            lacks = False
            if call.run_id not in self.runs:
                began = uuid_ms(call.run_id)
                lost = self.runs_lost_ms
                lacks = lost is not None and (began is None or began <= lost)
                if len(self.runs) >= RUNS:
                    gone = next(iter(self.runs))
                    del self.runs[gone]
                    self.runs_lost_ms = max(lost or 0, uuid_ms(gone) or _EVER)
            found.append(_latest(self.runs, call.run_id, lacks=lacks))
        return found

    def _may_be_known(self, call: Call) -> bool:
        """Whether it may have been counted so long ago that nothing is known of it."""
        if call.call_id is None or self.calls_lost_ms is None:
            return False
        began = uuid_ms(call.call_id)
        return began is None or began <= self.calls_lost_ms


def _latest(known: dict[str, Sums], key: str, *, lacks: bool) -> Sums:
    """The key's sums, moved to the end: they are forgotten last."""
    sums = known.pop(key) if key in known else Sums(lacks=lacks)
    known[key] = sums
    return sums


def _hash(call_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(call_id.encode(), digest_size=8).digest())


def uuid_ms(text: str) -> int | None:
    """Unix time in a UUIDv7."""
    return int(text.replace("-", "")[:12], 16) if _UUID7.fullmatch(text) else None


def moment_ms(text: str) -> int | None:
    """Unix time of a timestamp in ISO 8601."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def ended_before(call: Call, ms: int) -> bool:
    """Whether a call, and so all that stand before it in a ledger, ended before then."""
    ended = _ended_ms(call)
    return ended is not None and ended < ms


def _ended_ms(call: Call) -> int | None:
    started = call.started_ms
    return None if started is None else started + int(call.latency_ms or 0)
