"""What was lost: the ledger held against what reached the API, call by call."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.bench import Bench, Row
from tests.faults.run import Run
from tests.faults.upstream import Upstream
from tokenproxy.simulator.messages import Tokens


class Outcome(msgspec.Struct, kw_only=True):
    """What a fault did."""

    fault: str
    runs: int = 0
    kills: int = 0
    """SIGKILL and SIGTERM."""
    stops: int = 0
    """SIGSTOP, each followed by a SIGCONT."""
    expected: int = 0
    """Rows: a call that reached the API, or a line that was acknowledged."""
    found: int = 0
    duplicated: int = 0
    torn: int = 0
    """Lines that a strict JSON parser refuses."""
    unsent: int = 0
    """Rows of attempts that had been journaled and did not reach the API any more."""
    problems: list[str] = msgspec.field(default_factory=list)
    back_ms: list[float] = msgspec.field(default_factory=list)
    """From a proxy's death to the next call's answer."""

    @property
    def lost(self) -> int:
        """Rows that are missing."""
        return self.expected - self.found

    @property
    def sound(self) -> bool:
        """Nothing lost, nothing twice, nothing broken."""
        return not (self.lost or self.duplicated or self.torn or self.problems)


def merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One for each fault, in the order of their first."""
    sums: dict[str, Outcome] = {}
    for one in outcomes:
        total = sums.setdefault(one.fault, Outcome(fault=one.fault))
        for name in one.__struct_fields__:
            if name != "fault":
                setattr(total, name, getattr(total, name) + getattr(one, name))
    return list(sums.values())


def read_strictly(path: Path) -> tuple[list[Row], int]:
    """The ledger's rows by a strict JSON parser, and how many lines are none."""
    rows: list[Row] = []
    torn = 0
    data = path.read_bytes() if path.exists() else b""
    for line in data.splitlines(keepends=True):
        if not line.strip():
            continue  # of a half line that was made blank, until the next row comes
        try:
            row = json.loads(line, parse_constant=_refuse)
        except ValueError:
            torn += 1
            continue
        rows.append(row)
        torn += not line.endswith(b"\n") or not isinstance(row, dict)
    return rows, torn


def reckon(
    outcome: Outcome, bench: Bench, upstream: Upstream, runs: Iterable[Run], *others: Path
) -> None:
    """Hold the ledger against what reached the API and what the commands got; fill ``outcome``.

    Args:
        outcome: Grows.
        bench: Where the ledger is.
        upstream: Knows what reached the API.
        runs: All that were made there.
        others: Files that have been the ledger before.
    """
    rows, torn = read_strictly(bench.ledger)
    for path in others:
        more, bad = read_strictly(path)
        rows, torn = rows + more, torn + bad
    asked = {call for run in runs for call in run.asked}
    answers = {call: told for run in runs for call, told in run.answers.items()}
    counted = Counter(str(row.get("client_request_id")) for row in rows)
    reached = upstream.reached()
    outcome.torn += torn
    outcome.expected += len(reached)
    outcome.found += len(reached.keys() & counted.keys())
    outcome.duplicated += sum(counted.values()) - len(counted)
    outcome.unsent += len(counted.keys() - reached.keys())
    tell = outcome.problems.append
    for call in sorted(reached.keys() - counted.keys()):
        tell(f"{call} reached the API and has no row: {answers.get(call)}")
    for call in sorted((counted.keys() | reached.keys()) - asked):
        tell(f"{call} was never asked")
    for call, times in reached.items():
        if times > 1:
            tell(f"{call} was sent {times} times")
    outcome.problems += _too_modest(rows, answers)
    for row in rows:
        call = str(row["client_request_id"])
        exchange = upstream.exchange(call)
        billed = exchange.reply.billed[0] if exchange is not None else None
        outcome.problems += _wrong(call, row, billed, answers.get(call, {}))
    for call, told in answers.items():
        exchange = upstream.exchange(call)
        if exchange is not None and told.get("done"):
            sent = bytes(exchange.sent[: told["size"]])
            if hashlib.md5(sent, usedforsecurity=False).hexdigest() != told["digest"]:
                tell(f"{call}: the command did not get the bytes that were sent")
    left = [str(path.relative_to(bench.root)) for path in bench.state.glob("runs/*/*")]
    left += [path.name for path in bench.root.iterdir() if path.name.startswith(".provider")]
    left += [path.name for path in bench.root.glob("provider_usage.jsonl.lock*")]
    outcome.problems += [f"left behind: {name}" for name in left if not _log(bench, name)]


ENOUGH_ANSWERS = 8
"""That came whole, to tell from them that rows know too little."""


def _too_modest(rows: Iterable[Row], answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Rows that know less than they could; of calls that were over, a kill hits few.

    Of so few that each may have been killed in the moment that it came whole, nothing is said:
    what the proxy had read by then, and not yet written down, died with it.
    """
    whole = {call for call, told in answers.items() if told.get("whole")}
    complete = {row.get("client_request_id") for row in rows if row["outcome"] == "complete"}
    told = len(whole & complete)
    if len(whole) < ENOUGH_ANSWERS or told * 4 >= len(whole):
        return []
    return [f"{len(whole)} answers came whole, {told} rows say so"]


def _log(bench: Bench, name: str) -> bool:
    """A log that tells of a death is the user's to read; it goes with its run's next tidying."""
    path = bench.root / name
    return path.name == "proxy.log" and path.stat().st_size > 0


KINDS: dict[str, Callable[[Tokens], int]] = {
    "uncached_input_tokens": lambda bill: bill.input,
    "cache_read_input_tokens": lambda bill: bill.cache_read,
    "cache_creation_input_tokens": lambda bill: bill.cache_write,
    "input_tokens": lambda bill: bill.all_input,
    "output_tokens": lambda bill: bill.output,
}


def _wrong(call: str, row: Row, bill: Tokens | None, told: Mapping[str, Any]) -> list[str]:
    """What a row says that is not so."""
    found = []
    for key, of in KINDS.items():
        count = row.get(key)
        owed = of(bill) if bill is not None else 0
        if count is None:
            continue
        if count > owed:
            found.append(f"{call}: {key} {count} is more than the bill's {owed}")
        elif row["completeness"] == "final" and count != owed:
            found.append(f"{call}: {key} {count} is said to be final and the bill's is {owed}")
    if row["completeness"] != "none" and row.get("input_tokens") is None:
        found.append(f"{call}: {row['completeness']} without counts")
    if row["success"] and not (row["completeness"] == "final" and row["outcome"] == "complete"):
        found.append(f"{call}: a success that is {row['outcome']} and {row['completeness']}")
    if row["outcome"] == "complete" and told.get("done") and not told.get("whole"):
        found += [] if told.get("size") else [f"{call}: complete, and the command got nothing"]
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)
