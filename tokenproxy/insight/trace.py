"""One run's calls, found in the ledger and put in the shape of its trace.

run -> turn -> calls of the main agent and subagents -> their calls, as the spans
nest. Calls that state no turn hang on the run; a subagent
that states its parent hangs on it.

Rows are appended when calls end, so the last run's rows lie at the ledger's
end: :func:`last_run` reads backwards and stops where the run began (a run's id
is a UUIDv7, which tells when that was).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tokenproxy.insight.query import LedgerError
from tokenproxy.record.ledger import tail_rows
from tokenproxy.record.row import of_gateway

TRACE_SCHEMA = "tokenproxy.trace/1"

_SLACK_MS = 60_000
"""Clocks may be set back a little during a run."""
_UUID_LENGTH = 36
_AMBIGUOUS_SHOWN = 5
_FIRST_ERROR_STATUS = 400


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a row that a trace is made of; see docs/ledger.md. :func:`read_row` makes it."""

    run_id: str
    call_id: str
    timestamp: str
    latency_ms: float = 0.0
    story_id: str = ""
    iteration: int = 0
    provider: str = ""
    model: str = ""
    operation: str = "chat"
    success: bool = False
    outcome: str = ""
    completeness: str = ""
    error: str | None = None
    status_code: int | None = None
    fallback_used: bool = False
    retry_of: str | None = None
    stop_reason: str | None = None
    turn_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    request_class: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cost_usd: float | None = None
    provider_cost_usd: float | None = None
    ttft_ms: float | None = None
    parts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    trace_id: str | None = None
    project: str | None = None
    client: str | None = None
    # A name that is no row's key: what the line holds never gets here by itself.
    whole: dict[str, Any] = msgspec.field(name="", default_factory=dict)
    """All of the row's keys, as read."""

    @property
    def spent_usd(self) -> float | None:
        """What the provider states that it cost, else what was computed."""
        return self.cost_usd if self.provider_cost_usd is None else self.provider_cost_usd

    @property
    def incomplete(self) -> bool:
        """It was, or may have been, billed for more than it tells; as the run's summary counts."""
        if self.completeness == "none":
            answered = self.status_code is not None and self.status_code < _FIRST_ERROR_STATUS
            # Whoever broke off, before the answer's head or after: it may have been billed.
            return answered or self.outcome in ("aborted", "truncated", "lost")
        return self.completeness == "partial"

    @property
    def unpriced(self) -> bool:
        """It tells what it used, and what that costs is not known."""
        return self.spent_usd is None and self.completeness != "none"

    @property
    def number(self) -> int | None:
        """The iteration's; None for a call that a gateway recorded."""
        return None if of_gateway(self.iteration, self.story_id, self.project) else self.iteration

    @property
    def started_ms(self) -> float:
        """Unix time, milliseconds."""
        return datetime.fromisoformat(self.timestamp).timestamp() * 1000


class Sums(msgspec.Struct, kw_only=True):
    """What the calls under a node used; None is "not stated by any"."""

    calls: int = 0
    failed: int = 0
    unpriced: int = 0
    incomplete: int = 0
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    def add(self, row: TraceRow) -> None:
        """Count one more call."""
        self.calls += 1
        self.failed += not row.success
        self.unpriced += row.unpriced
        self.incomplete += row.incomplete
        self.input_tokens = _plus(self.input_tokens, row.input_tokens)
        self.output_tokens = _plus(self.output_tokens, row.output_tokens)
        self.cache_read_input_tokens = _plus(
            self.cache_read_input_tokens, row.cache_read_input_tokens
        )
        self.cache_creation_input_tokens = _plus(
            self.cache_creation_input_tokens, row.cache_creation_input_tokens
        )
        if row.spent_usd is not None:
            self.cost_usd = round((self.cost_usd or 0.0) + row.spent_usd, 12)


class CallNode(msgspec.Struct, kw_only=True):
    """A leaf: one call."""

    kind: Literal["call"] = "call"
    number: int
    """From 1, in order of starting."""
    start_ms: float
    """Since the run's first call."""
    duration_ms: float
    row: TraceRow


class GroupNode(msgspec.Struct, kw_only=True):
    """A run, a turn or an agent: what has calls under it."""

    kind: Literal["run", "turn", "agent"]
    id: str
    agent_type: str | None = None
    start_ms: float = 0.0
    duration_ms: float = 0.0
    """From the start of its first call to the end of its last."""
    sums: Sums = msgspec.field(default_factory=Sums)
    children: list[GroupNode | CallNode] = msgspec.field(default_factory=list)

    def calls(self) -> Iterator[CallNode]:
        """All calls under it, in the tree's order."""
        for child in self.children:
            if isinstance(child, CallNode):
                yield child
            else:
                yield from child.calls()


class Trace(msgspec.Struct, frozen=True):
    """A run as a tree."""

    root: GroupNode
    first: TraceRow
    """Of its calls: what all share (story, iteration, project, trace id) and when it began."""

    def as_json(self) -> dict[str, Any]:
        """The stable form of ``show --json``: unknown is absent, as in the ledger."""
        head = {
            "schema": TRACE_SCHEMA,
            "run_id": self.root.id,
            "story_id": self.first.story_id,
            "iteration": self.first.number,
            "project": self.first.project,
            "client": self.first.client,
            "trace_id": self._trace_id(),
            "started": self.first.timestamp,
        }
        tree = _node_json(self.root)
        del tree["kind"], tree["id"], tree["start_ms"]
        return {key: value for key, value in head.items() if value is not None} | tree

    def _trace_id(self) -> str | None:
        """The one of all calls; a gateway's turns are traces of their own."""
        found = {call.row.trace_id for call in self.root.calls()} - {None}
        return found.pop() if len(found) == 1 else None


def last_run(path: Path) -> list[TraceRow]:
    """The rows of the run that wrote last, without reading what is older than the run.

    Raises:
        LedgerError: The ledger cannot be read or has no run.
    """
    run_id, since_ms, rows = "", 0.0, []
    for raw in _guarded(path, lambda: tail_rows(path, path.stat().st_size)):
        row = read_row(raw)
        if row is None:
            continue
        if not run_id:
            run_id, since_ms = row.run_id, _began_ms(row.run_id)
        if row.run_id == run_id:
            rows.append(row)
        # A lost call's row is written long after its time; it says nothing of where we are.
        elif row.outcome != "lost" and row.started_ms + row.latency_ms < since_ms - _SLACK_MS:
            break
    if not rows:
        raise LedgerError(f"{path} has no run to show")
    return rows


def find_run(path: Path, prefix: str) -> list[TraceRow]:
    """The rows of the one run whose id begins with ``prefix``.

    Raises:
        LedgerError: The ledger cannot be read, or no run or more than one is meant.
    """
    wanted = prefix.lower()
    found: dict[str, list[TraceRow]] = {}
    for row in _guarded(path, lambda: _rows_naming(path, wanted)):
        if row.run_id.startswith(wanted):
            found.setdefault(row.run_id, []).append(row)
    if wanted in found:
        return found[wanted]
    if not found:
        raise LedgerError(
            f"No run {prefix!r} in {path}: `tokenproxy report --by run` lists the runs"
        )
    if len(found) > 1:
        some = ", ".join(_name(rows[0]) for rows in list(found.values())[-_AMBIGUOUS_SHOWN:])
        raise LedgerError(f"{prefix!r} begins {len(found)} runs, say more of the id: {some}")
    return next(iter(found.values()))


def make_trace(rows: Iterable[TraceRow]) -> Trace:
    """The tree of one run's rows, in any order; a call_id that stands twice counts once."""
    by_id: dict[str, TraceRow] = {}
    rank = {"final": 0, "partial": 1}
    for row in rows:
        known = by_id.get(row.call_id)
        if known is None or rank.get(row.completeness, 2) < rank.get(known.completeness, 2):
            by_id[row.call_id] = row
    ordered = sorted(by_id.values(), key=lambda row: (row.started_ms, row.call_id))
    first = ordered[0]
    root = GroupNode(kind="run", id=first.run_id)
    groups: dict[tuple[str | None, str | None], GroupNode] = {(None, None): root}
    parents: dict[tuple[str | None, str | None], str | None] = {
        (row.turn_id, row.agent_id): row.parent_agent_id for row in ordered if row.agent_id
    }
    for number, row in enumerate(ordered, 1):
        group = _group(groups, parents, row.turn_id, row.agent_id)
        group.agent_type = group.agent_type or (row.agent_type if row.agent_id else None)
        start_ms = row.started_ms - first.started_ms
        group.children.append(
            CallNode(number=number, start_ms=start_ms, duration_ms=row.latency_ms, row=row)
        )
    _settle(root)
    return Trace(root, first)


def _group(
    groups: dict[tuple[str | None, str | None], GroupNode],
    parents: dict[tuple[str | None, str | None], str | None],
    turn_id: str | None,
    agent_id: str | None,
) -> GroupNode:
    """The node of an agent in a turn, made with all that is above it."""
    key = (turn_id, agent_id)
    if key in groups:
        return groups[key]
    if agent_id is None:
        above, node = groups[None, None], GroupNode(kind="turn", id=turn_id or "")
    else:
        # Popped: agents that claim to be each other's parents end at the turn.
        parent = parents.pop(key, None)
        known = parent is not None and ((turn_id, parent) in parents or (turn_id, parent) in groups)
        above = _group(groups, parents, turn_id, parent if known else None)
        node = GroupNode(kind="agent", id=agent_id)
    groups[key] = node
    above.children.append(node)
    return node


def _settle(group: GroupNode) -> tuple[float, float]:
    """Sort children, add up and span; returns start and end."""
    spans = []
    for child in group.children:
        if isinstance(child, CallNode):
            spans.append((child.start_ms, child.start_ms + child.duration_ms))
        else:
            spans.append(_settle(child))
    group.children = [
        child for _, child in sorted(zip(spans, group.children, strict=True), key=lambda x: x[0])
    ]
    for call in group.calls():
        group.sums.add(call.row)
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    group.start_ms, group.duration_ms = start, end - start
    return start, end


def _node_json(node: GroupNode | CallNode) -> dict[str, Any]:
    times = {"start_ms": round(node.start_ms, 3), "duration_ms": round(node.duration_ms, 3)}
    if isinstance(node, CallNode):
        own = {"kind": "call", "number": node.number, **times}
        row = {key: value for key, value in node.row.whole.items() if value is not None}
        return own | row | own
    sums = {k: v for k, v in msgspec.structs.asdict(node.sums).items() if v is not None}
    kind = {"kind": node.kind, "id": node.id}
    if node.agent_type:
        kind["agent_type"] = node.agent_type
    return {**kind, **times, "totals": sums, "children": [_node_json(c) for c in node.children]}


def _rows_naming(path: Path, prefix: str) -> Iterator[TraceRow]:
    """Rows on lines that hold the id's beginning; the other lines are not parsed."""
    needle = f'"{prefix}'.encode(errors="replace")
    with path.open("rb") as lines:
        for line in lines:
            if needle in line.lower():
                try:
                    row = read_row(msgspec.json.decode(line))
                except msgspec.DecodeError:
                    continue
                if row is not None:
                    yield row


def read_row(raw: object) -> TraceRow | None:
    """A row of ours that can stand in a tree; the ancestor's rows name no run."""
    try:
        row = msgspec.convert(raw, TraceRow)
        _ = row.started_ms
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    return msgspec.structs.replace(row, whole=raw)


def _guarded[T](path: Path, rows: Callable[[], Iterator[T]]) -> Iterator[T]:
    try:
        yield from rows()
    except FileNotFoundError:
        raise LedgerError(
            f"There is no ledger at {path}: record a run with `tokenproxy run -- COMMAND`"
        ) from None
    except OSError as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error.strerror}") from None


def _began_ms(run_id: str) -> float:
    """When a run began, by its UUIDv7; 0 (read all) if the id is of another kind."""
    digits = run_id.replace("-", "")
    if len(run_id) != _UUID_LENGTH or digits[12:13] != "7":
        return 0.0
    try:
        return float(int(digits[:12], 16))
    except ValueError:
        return 0.0


def _name(row: TraceRow) -> str:
    at = datetime.fromisoformat(row.timestamp).astimezone(UTC)
    story = f"story {row.story_id!r}, " if row.story_id else ""
    what = "gateway" if row.number is None else f"iteration {row.number}"
    return f"{row.run_id} ({story}{what}, {at:%Y-%m-%d %H:%M:%S})"


def _plus(total: int | None, count: int | None) -> int | None:
    return total if count is None else (total or 0) + count
