"""How the calls of a run hang together: turns, agents and tools, and when each was busy.

Imports no opentelemetry: this is bookkeeping over what calls say of themselves.

Rules:

* A call hangs on its agent, the agent on the agent that started it or on its turn, the
  turn on the iteration. What a call does not say is left out: without a turn it hangs on
  the iteration.
* The ids of turns, agents and tools follow from their names
  (:func:`tokenproxy.ids.derived_span_id`), so children can be exported before their
  parents and by another process than theirs.
* A turn or agent lasts from its first call's start to the end of the last call or tool
  below it. Nobody tells when it really ended.
* A turn is its client's, whatever command the client was started by.
* A tool begins when the call that asked for it ends, and ends when the request with its
  result begins. Where the client states its duration it lasts that long: from its beginning,
  but so that it has ended by the request, even if it began before the call's last byte.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import msgspec

from tokenproxy.config import RunContext
from tokenproxy.ids import derived_span_id
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry.money import nanodollars
from tokenproxy.wire.usage import Attribution

REMEMBERED = 10_000
"""Tools without a result, failed calls and closed traces that are kept in mind."""

_MS = 1_000_000


class Group(msgspec.Struct, kw_only=True):
    """An iteration, turn or agent: its place, its bounds and the sums over the calls below it."""

    role: Literal["iteration", "turn", "agent"]
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    name: str | None = None
    """The agent's name: the command's, or a subagent's type."""
    who: Attribution = msgspec.field(default_factory=Attribution)
    provider: str | None = None
    session_id: str | None = None
    spoke: bool = True
    """False while it is only known as somebody's parent."""
    calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0

    def extend(self, start_ns: int, end_ns: int) -> None:
        """Cover this time too."""
        self.start_ns = min(self.start_ns, start_ns)
        self.end_ns = max(self.end_ns, end_ns)


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client ran."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    tool_use_id: str
    start_ns: int
    end_ns: int
    failed: bool
    who: Attribution


class Placed(msgspec.Struct, frozen=True):
    """A call's place in the tree, and the tools whose results it carries."""

    parent_id: str | None
    """The parent's span id; None makes the call a trace's root."""
    tools: tuple[Tool, ...] = ()
    retry_of: tuple[str, str] | None = None
    """(trace id, span id) of the failed attempt that this call repeats."""


class _Asked(msgspec.Struct, frozen=True):
    """A tool that a model asked for and whose result was not seen yet."""

    name: str
    since_ns: int
    """When the call began that asks for it."""
    at_ns: int
    trace_id: str
    parent_id: str | None
    who: Attribution


class Tree:
    """The tree of one run, or of all turns that a gateway serves. Not thread-safe."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._root_id = None if run.gateway else run.span_id
        self.iteration = Group(
            role="iteration",
            trace_id=run.trace_id,
            span_id=run.span_id,
            parent_id=run.parent_span_id,
            start_ns=run.started_ns,
            end_ns=run.started_ns,
            name=run.agent,
        )
        self._groups: dict[tuple[str, str], Group] = {}
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._failed: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._closed: OrderedDict[str, None] = OrderedDict()

    def place(self, call: Call, row: Row | None) -> Placed:
        """Take a finished call in."""
        start, end = call.start, call.end
        trace_id = start.trace_id
        parent_id = self._parent_of(call)
        above = list(self._above(trace_id, parent_id))
        tools = self._tools_done(call) if start.kind == "inference" else ()
        for group in above:
            group.extend(start.started_ns, end.ended_ns)
            group.provider = group.provider or start.provider
            group.session_id = group.session_id or _session(call)
            _add(group, row)
        for tool in tools:
            for group in self._above(tool.trace_id, tool.parent_id):
                group.extend(tool.start_ns, tool.end_ns)
                group.tool_calls += 1
        for use in end.reading.tool_uses:
            asked = _Asked(
                use.name, start.started_ns, end.ended_ns, trace_id, parent_id, start.attribution
            )
            _remember(self._asked, use.id, asked)
        if end.outcome != "complete":
            _remember(self._failed, start.call_id, (trace_id, start.span_id))
        return Placed(parent_id, tools, self._failed.get(call.retry_of or ""))

    def count(self, row: Row) -> None:
        """Add a call that is told elsewhere to the iteration."""
        self.iteration.provider = self.iteration.provider or row.provider
        self.iteration.session_id = self.iteration.session_id or row.session_id
        _add(self.iteration, row)

    def groups(self) -> list[Group]:
        """All turns and agents, each under what was made before it."""
        return list(self._groups.values())

    def take_idle(self, before_ns: int) -> list[Group]:
        """Remove and return the groups of every trace that has been quiet since ``before_ns``.

        For a gateway, where nobody says that a turn is over. A call that comes after all
        still finds its parent's id, but the parent is not told again.
        """
        latest: dict[str, int] = {}
        for group in self._groups.values():
            latest[group.trace_id] = max(latest.get(group.trace_id, 0), group.end_ns)
        quiet = {trace_id for trace_id, end_ns in latest.items() if end_ns < before_ns}
        taken = [group for group in self._groups.values() if group.trace_id in quiet]
        for group in taken:
            del self._groups[group.trace_id, group.span_id]
        for trace_id in quiet:
            _remember(self._closed, trace_id, None)
        return taken

    # -- places -----------------------------------------------------------

    def _parent_of(self, call: Call) -> str | None:
        """The span id that a call hangs on, its turn and agents made where they are new."""
        who, trace_id = call.start.attribution, call.start.trace_id
        parent_id = self._root_id
        if who.turn_id:
            turn_id = derived_span_id(trace_id, "turn", who.turn_id)
            name = _product(who.client) or self._run.agent
            self._make("turn", call, turn_id, parent_id, name=name, who=who)
            parent_id = turn_id
        if who.agent_id and who.parent_agent_id and who.parent_agent_id != who.agent_id:
            above = Attribution(turn_id=who.turn_id, agent_id=who.parent_agent_id)
            above_id = _agent_span_id(trace_id, above)
            self._make("agent", call, above_id, parent_id, name=None, who=above, spoke=False)
            parent_id = above_id
        if who.agent_id:
            agent_id = _agent_span_id(trace_id, who)
            self._make("agent", call, agent_id, parent_id, name=who.agent_type, who=who)
            parent_id = agent_id
        return parent_id

    def _make(
        self,
        role: Literal["turn", "agent"],
        call: Call,
        span_id: str,
        parent_id: str | None,
        *,
        name: str | None,
        who: Attribution,
        spoke: bool = True,
    ) -> None:
        key = (call.start.trace_id, span_id)
        group = self._groups.get(key)
        if group is None and call.start.trace_id not in self._closed:
            self._groups[key] = Group(
                role=role,
                trace_id=call.start.trace_id,
                span_id=span_id,
                parent_id=parent_id,
                start_ns=call.start.started_ns,
                end_ns=call.end.ended_ns,
                name=name,
                who=who,
                spoke=spoke,
            )
        elif group is not None and spoke and not group.spoke:
            group.name, group.who, group.parent_id, group.spoke = name, who, parent_id, True

    def _above(self, trace_id: str, span_id: str | None) -> Iterator[Group]:
        """The groups from ``span_id`` upwards, the iteration last."""
        seen: set[str] = set()
        while span_id is not None and span_id not in seen:
            seen.add(span_id)
            group = self._groups.get((trace_id, span_id))
            if group is None:
                break
            yield group
            span_id = group.parent_id
        if self._root_id is not None:
            yield self.iteration

    # -- tools ------------------------------------------------------------

    def _tools_done(self, call: Call) -> tuple[Tool, ...]:
        """The tools whose results this request carries for the first time."""
        who = call.start.attribution
        stated: dict[str, list[float]] = {}
        for name, duration_ms in who.tool_durations_ms:
            stated.setdefault(name, []).append(duration_ms)
        done: list[Tool] = []
        for result in call.request.tool_results:
            asked = self._asked.get(result.tool_use_id)
            if asked is None or asked.who.agent_id != who.agent_id:
                continue
            del self._asked[result.tool_use_id]
            durations = stated.get(asked.name)
            start_ns, end_ns = asked.at_ns, call.start.started_ns
            if durations:
                lasted_ns = round(durations.pop(0) * _MS)
                # Its result was there when this request began; a client may start a tool while
                # the answer that asks for it is still coming.
                start_ns = max(min(start_ns, end_ns - lasted_ns), asked.since_ns)
                end_ns = start_ns + lasted_ns
            done.append(
                Tool(
                    trace_id=asked.trace_id,
                    span_id=derived_span_id(asked.trace_id, "tool", result.tool_use_id),
                    parent_id=asked.parent_id,
                    name=asked.name,
                    tool_use_id=result.tool_use_id,
                    start_ns=start_ns,
                    end_ns=max(end_ns, start_ns),
                    failed=result.is_error,
                    who=asked.who,
                )
            )
        return tuple(done)


def _agent_span_id(trace_id: str, who: Attribution) -> str:
    return derived_span_id(trace_id, "agent", who.turn_id or "", who.agent_id or "")


def _session(call: Call) -> str | None:
    return call.start.attribution.session_id or call.request.session_id


def _product(client: str | None) -> str | None:
    """``claude-cli`` of ``claude-cli/2.1.330``."""
    return client.split("/", 1)[0] or None if client else None


def _add(group: Group, row: Row | None) -> None:
    if row is None:
        return
    group.calls += 1
    group.input_tokens += row.input_tokens or 0
    group.output_tokens += row.output_tokens or 0
    group.cost_nanos += nanodollars(row.spent_usd)


def _remember[T](memory: OrderedDict[str, T], key: str, value: T) -> None:
    """Keep, and forget the oldest: a gateway runs for months."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
