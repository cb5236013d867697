"""A trace as an indented tree with columns, readable without colour.

    run 01a9…  story US-7 · iteration 3 · claude-cli/2.1.330
    5 calls · 85.3k in (75.0k cached) · 258 out · $0.0723 · 1.2 s from first to last

    #                         start    took     in  cached  out     cost
       turn 7c9e6679           0 ms   1.2 s  85.3k   75.0k  258  $0.0723
    1  ├─ claude-opus-5-5      0 ms  212 ms  17.1k   15.0k   55  $0.0145
    2  ├─ claude-opus-5-5    230 ms   31 ms                               ✗ 529 overloaded_error
    3  ├─ claude-opus-5-5    760 ms  205 ms  17.1k   15.0k   77  $0.0151  ↻ retry of 2
       └─ agent Explore a8d  1.0 s   180 ms  ...
    4     └─ claude-sonnet-5-5

A turn's and an agent's line has the sums of what is under it. What is unusual
about a call stands in words behind its numbers. Providers are named where the
run's calls went to more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from tokenproxy.insight.terminal import plain, printable, shorten
from tokenproxy.insight.trace import CallNode, GroupNode, Sums, Trace, TraceRow
from tokenproxy.units import duration, si, usd

COLUMNS = ("start", "took", "in", "cached", "written", "out", "cost")

_DROP = ("written", "cached", "start")
"""Left out in this order where the terminal is too narrow."""
_LEAST_LABEL = 24
_USUAL_STOPS = {
    "complete",
    "completed",
    "end_turn",
    "finish",
    "finished",
    "function_call",
    "stop",
    "stop_sequence",
    "tool_call",
    "tool_calls",
    "tool_use",
}
"""The providers' words for an answer that came to its own end, in lower case."""
_SHORT_ID = 8


class _Line(msgspec.Struct):
    number: str
    label: str
    cells: dict[str, str]
    marks: str
    style: str


def print_trace(trace: Trace, console: Console, zone: ZoneInfo) -> None:
    """Print the header, then the tree."""
    _say(console, f"run {trace.root.id}", "bold")
    _say(console, " · ".join(_facts(trace.first, zone)))
    _say(console, totals_line(trace.root.sums, trace.root.duration_ms))
    _say(console, "")
    numbers = {call.row.call_id: call.number for call in trace.root.calls()}
    several = len({call.row.provider for call in trace.root.calls()}) > 1
    lines = list(_lines(trace.root.children, "", numbers, named=several))
    columns = [
        name for name in COLUMNS if name in {"start", "took"} or any(x.cells[name] for x in lines)
    ]
    wide = {name: max(len(name), *(len(line.cells[name]) for line in lines)) for name in columns}
    number_width = len(str(len(numbers)))
    label_width = max(cell_len(line.label) for line in lines)
    room = console.width - number_width - 2
    for name in _DROP:
        if name in columns and label_width + sum(wide[c] + 2 for c in columns) > room:
            columns.remove(name)
    label_width = max(min(label_width, room - sum(wide[c] + 2 for c in columns)), _LEAST_LABEL)
    cut = plain("…", console.encoding)
    head = "".join(f"  {name.rjust(wide[name])}" for name in columns)
    _say(console, f"{'#'.rjust(number_width)}  {' ' * label_width}{head}", "bold")
    for line in lines:
        cells = "".join(f"  {line.cells[name].rjust(wide[name])}" for name in columns)
        label = set_cell_size(shorten(line.label, label_width, cut), label_width)
        text = f"{line.number.rjust(number_width)}  {label}{cells}"
        _say(console, f"{text}  {line.marks}" if line.marks else text, line.style)


def totals_line(sums: Sums, duration_ms: float) -> str:
    """The whole run in one line."""
    calls = f"{si(sums.calls)} {'call' if sums.calls == 1 else 'calls'}"
    asides = [
        f"{si(count)} {word}"
        for count, word in ((sums.failed, "failed"), (sums.incomplete, "incomplete"))
        if count
    ]
    parts = [f"{calls} ({', '.join(asides)})" if asides else calls]
    if sums.input_tokens is not None:
        read = sums.cache_read_input_tokens
        parts.append(f"{si(sums.input_tokens)} in" + (f" ({si(read)} cached)" if read else ""))
    if sums.output_tokens is not None:
        parts.append(f"{si(sums.output_tokens)} out")
    if sums.cost_usd is not None or sums.unpriced:
        known = "" if sums.cost_usd is None else usd(sums.cost_usd)
        unpriced = f"{si(sums.unpriced)} unpriced" if sums.unpriced else ""
        parts.append(" + ".join(part for part in (known, unpriced) if part))
    parts.append(f"{duration(duration_ms)} from first to last")
    return " · ".join(parts)


def marks(row: TraceRow, numbers: dict[str, int]) -> str:
    """What is unusual about a call, in words."""
    words = []
    if row.retry_of is not None:
        words.append(f"↻ retry of {numbers.get(row.retry_of) or row.retry_of}")
    if row.fallback_used:
        words.append("⇄ fallback")
    if not row.success:
        status = f"{row.status_code} " if row.status_code and row.status_code >= 400 else ""  # noqa: PLR2004 - an HTTP error
        outcome = "" if row.outcome == "error" else f"{row.outcome}, " if row.error else row.outcome
        words.append(f"✗ {outcome}{status}{row.error or ''}".rstrip())
    if row.stop_reason is not None and row.stop_reason.lower() not in _USUAL_STOPS:
        words.append(f"stopped: {row.stop_reason}")
    if row.incomplete:
        known = "told no usage" if row.completeness == "none" else "counts are a lower bound"
        words.append(f"incomplete: {known}")
    if row.unpriced:
        words.append("unpriced")
    billed = {
        str(part.get("model")): f"+ {part.get('role')} {part.get('model')}"
        for part in row.parts
        if part.get("billable") is not False and part.get("model") not in {None, row.model}
    }
    return printable(", ".join([*words, *billed.values()]))


def _facts(first: TraceRow, zone: ZoneInfo) -> Iterator[str]:
    if first.story_id:
        yield f"story {printable(first.story_id)}"
    yield "gateway" if first.number is None else f"iteration {first.number}"
    if first.project:
        yield printable(first.project)
    if first.client:
        yield printable(first.client)
    started = datetime.fromisoformat(first.timestamp).astimezone(zone)
    yield f"{started:%Y-%m-%d %H:%M:%S %Z}"


def _lines(
    nodes: list[GroupNode | CallNode],
    indent: str,
    numbers: dict[str, int],
    *,
    named: bool,
    top: bool = True,
) -> Iterator[_Line]:
    for node in nodes:
        last = node is nodes[-1]
        branch, below = ("", "") if top else ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield _line(node, indent + branch, numbers, named=named)
        if isinstance(node, GroupNode):
            yield from _lines(node.children, indent + below, numbers, named=named, top=False)


def _line(
    node: GroupNode | CallNode, prefix: str, numbers: dict[str, int], *, named: bool
) -> _Line:
    used: Sums | TraceRow = node.row if isinstance(node, CallNode) else node.sums
    spent = node.row.spent_usd if isinstance(node, CallNode) else node.sums.cost_usd
    cells = {
        "start": duration(node.start_ms),
        "took": duration(node.duration_ms),
        "in": _count(used.input_tokens),
        "cached": _count(used.cache_read_input_tokens),
        "written": _count(used.cache_creation_input_tokens),
        "out": _count(used.output_tokens),
        "cost": "" if spent is None else usd(spent),
    }
    if isinstance(node, GroupNode):
        label = (
            f"{node.kind} {f'{node.agent_type} ' if node.agent_type else ''}{node.id[:_SHORT_ID]}"
        )
        return _Line("", prefix + printable(label), cells, "", "cyan")
    row = node.row
    aside = [word for word in (_special(row.request_class), _operation(row.operation)) if word]
    model = row.model or "(no model)"
    served = f"{model} · {row.provider or '(no provider)'}" if named else model
    label = f"{served}{f' ({", ".join(aside)})' if aside else ''}"
    style = "red" if not row.success else "yellow" if row.incomplete or row.unpriced else ""
    return _Line(str(node.number), prefix + printable(label), cells, marks(row, numbers), style)


def _special(request_class: str | None) -> str | None:
    """The class, unless the call's place in the tree says it."""
    return None if request_class in {"main", "subagent"} else request_class


def _operation(operation: str) -> str | None:
    return None if operation == "chat" else operation


def _count(value: int | None) -> str:
    return "" if value is None else si(value)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(plain(text.rstrip(), console.encoding), style=style), soft_wrap=True)
