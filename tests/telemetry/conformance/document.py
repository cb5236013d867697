"""``docs/conventions.md``: the tables as people read them, with what a real run sends.

``python -m tests.telemetry.conformance`` prints it; ``--write`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.telemetry.conformance.capture import PROTOCOLS, Capture
from tests.telemetry.conformance.table import Attribute, Table, general, load
from tests.telemetry.receiver import Attributes

DOCUMENT = Path(__file__).parents[3] / "docs" / "conventions.md"

HEAD = """\
# Semantic conventions

For whoever queries by OpenTelemetry's names. What its conventions for GenAI demand, and what of it
tokenproxy sends, in both dialects ([telemetry.md](telemetry.md) says how to choose). The tables
are copied by hand from the specifications (`tests/telemetry/conformance/*.toml`, each entry with
its source). A test runs every operation of every provider, captures the OTLP and holds it to them:
names, kinds, levels and their conditions, types, values, units, bucket bounds, scope, schema and
resource. This page is made from the same data: `python -m tests.telemetry.conformance --write`.

*Sent* is what that run sent: **yes**, or **no**. What is never sent by default is content
(`opt-in`), and what only the client could know.
"""


def render(captures: dict[str, Capture]) -> str:
    """The whole page."""
    lines = [HEAD]
    for dialect in PROTOCOLS:
        lines += _dialect(load(dialect), captures[dialect])
    lines += _deviations([load(dialect) for dialect in PROTOCOLS])
    lines += _own(load("1.41"))
    return "\n".join(lines) + "\n"


def _dialect(table: Table, sent: Capture) -> Iterator[str]:
    where = f"`{table.repository}`" + (f" {table.revision}" if table.revision else "")
    yield f"## Dialect {table.dialect}\n"
    yield f"Sources are paths in {where}. Schema URL: `{table.schema_url}`.\n"
    by_operation: dict[str, list[Attributes]] = {}
    for span in sent.spans:
        by_operation.setdefault(str(span.attributes["gen_ai.operation.name"]), []).append(
            span.attributes
        )
    for rule in table.spans.values():
        told = [said for each in sorted(rule.operations) for said in by_operation.get(each, [])]
        names = ", ".join(f"`{each}`" for each in sorted(rule.operations))
        yield f"### Span `{rule.id}`\n"
        yield f"{rule.source}. {rule.kind}, `{{gen_ai.operation.name}} {{{rule.noun}}}`: {names}.\n"
        yield from _attributes(rule.attributes.values(), told, table)
        for page in table.pages:
            if page.span == rule.id and page.attributes:
                theirs = [
                    said for said in told if said.get("gen_ai.provider.name") == page.provider
                ]
                yield f"Of provider `{page.provider}` ({page.source}):\n"
                yield from _attributes(page.attributes.values(), theirs, table)
    yield "### Metrics\n"
    yield "| metric | instrument, unit | level | attributes | sent | source |"
    yield "|---|---|---|---|---|---|"
    points = {point.metric for point in sent.points}
    for metric in table.metrics.values():
        names = ", ".join(f"`{name}`" for name in metric.attributes)
        yield (
            f"| `{metric.name}` | {metric.instrument}, {metric.unit} | {metric.level} | {names} "
            f"| {_yes(metric.name in points)} | {metric.source} |"
        )
    yield ""


def _attributes(
    attributes: Iterable[Attribute], told: list[Attributes], table: Table
) -> Iterator[str]:
    yield "| attribute | type | level | sent |"
    yield "|---|---|---|---|"
    for attribute in attributes:
        level = attribute.level
        condition = ""
        if level in ("conditional", "recommended") and attribute.condition != "always":
            condition = f": {table.conditions[attribute.condition]}"
        present = any(general(name, {attribute.name: ""}) for said in told for name in said)
        yield (f"| `{attribute.name}` | {attribute.type} | {level}{condition} | {_yes(present)} |")
    yield ""


def _deviations(tables: list[Table]) -> Iterator[str]:
    yield "## Where tokenproxy deviates\n"
    yield "| what | where | why |"
    yield "|---|---|---|"
    reason = ""
    seen = dict.fromkeys(each for table in tables for each in table.deviations)
    for each in seen:
        reason = reason if each.reason == "as above" else each.reason
        spans = ", ".join(f"`{name}`" for name in each.spans) or "spans of calls and agents"
        dialects = "" if len(each.dialects) > 1 else f" ({each.dialects[0]})"
        what = {"required": "absent", "recommended": "absent", "opt-in": "sent unasked"}
        yield (
            f"| `{each.attribute}`: {what.get(each.rule, 'sent')} | {spans}{dialects} | {reason} |"
        )
    for remark in tables[0].remarks:
        yield f"| {remark.about} | {remark.source} | {remark.text} |"
    yield ""
    yield "Values of our own, where none of the conventions' applies:\n"
    for name, values in tables[0].custom.items():
        told = "; ".join(f"`{value}` ({why})" for value, why in values.items())
        yield f"- `{name}`: {told}. A gateway's provider is its host's name."
    yield ""


def _own(table: Table) -> Iterator[str]:
    yield "## Names of our own\n"
    yield "[telemetry.md](telemetry.md) says what they mean.\n"
    yield "| attribute | type | on |"
    yield "|---|---|---|"
    order = ("iteration", "turn", "agent", "call", "tool", "link", "event", "metric")
    for name, kind in table.own.types.items():
        places = ", ".join(place for place in order if place in table.own.places[name])
        yield f"| `{name}` | {kind} | {places} |"


def _yes(sent: bool) -> str:
    return "**yes**" if sent else "no"
