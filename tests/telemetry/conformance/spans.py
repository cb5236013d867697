"""Holds spans to the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.telemetry.conformance.conditions import CONDITIONS, Evidence, Question
from tests.telemetry.conformance.findings import Finding
from tests.telemetry.conformance.table import KEY, Attribute, SpanRule, Table, general
from tests.telemetry.receiver import Event, Span

PROVIDERS_OWN = ("openai.", "aws.", "azure.", "anthropic.", "gcp.")
"""Namespaces of single providers: on spans of no other."""
STANDARD = ("gen_ai.", "error.", "server.", "http.", *PROVIDERS_OWN)
IFF = ("failed", "streaming", "responded", "retried", "api_typed", "agent_identified", "compacted")
"""Conditions under whose contrary an attribute must not be there."""

HEADER = "http.response.header."
_COMPONENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_HEADER = re.compile(r"[a-z0-9-]+")
_SUBSETS = {
    "gen_ai.usage.input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
    ),
    "gen_ai.usage.output_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}
_TYPES = {"string": str, "int": int, "double": float, "boolean": bool}


def check_spans(evidence: Iterable[Evidence], table: Table) -> Iterator[Finding]:
    """Every fault of every span, and of all together."""
    types: dict[str, set[str]] = {}
    names: set[str] = set()
    for one in evidence:
        yield from check_span(one, table)
        for name, value in one.said.items():
            names.add(name)
            types.setdefault(name, set()).add(type_of(value))
    for name, found in types.items():
        if len(found) > 1:
            yield Finding("type", "all spans", name, f"{name} is {' and '.join(sorted(found))}")
    yield from clashes(names)


def clashes(names: Iterable[str]) -> Iterator[Finding]:
    """A name may not be a namespace of others too."""
    ours = sorted(name for name in names if name.startswith("tokenproxy."))
    for name in ours:
        if any(other.startswith(f"{name}.") for other in ours):
            yield Finding("clash", "all", name, f"{name} is a name and a namespace")


def check_span(evidence: Evidence, table: Table) -> Iterator[Finding]:
    """Every fault of one span."""
    span, said = evidence.span, evidence.said
    operation, provider = said.get("gen_ai.operation.name"), said.get("gen_ai.provider.name")
    yield from _common(span, table)
    rule = table.span_of(operation)
    if rule is None:
        name = "gen_ai.operation.name"
        yield Finding("value", span.name, name, f"{name} is {operation!r}")
        return
    attributes = {**rule.attributes}
    if said.get("tokenproxy.span.role") == "call":
        attributes |= table.http
    pages = table.pages_of(rule, operation, provider)
    for page in pages:
        attributes |= page.attributes
        if page.input_is_sum:
            yield from _sum(evidence, rule)
    yield from _shape(span, rule)
    for attribute in attributes.values():
        yield from _level(evidence, attribute, rule, table)
    yield from _unknown(span, rule, attributes)
    for name, value in said.items():
        known = general(name, attributes)
        if known is not None:
            yield from type_faults(rule.id, known, attributes[known].type, value)
        yield from value_faults(rule.id, name, value, table)
    yield from _amounts(span, rule)


def type_of(value: object) -> str:
    """The specification's word for a value's type."""
    if isinstance(value, tuple):
        return f"{type_of(value[0])}[]" if value else "string[]"
    return next((word for word, kind in _TYPES.items() if type(value) is kind), "?")


def type_faults(where: str, name: str, wanted: str, value: object) -> Iterator[Finding]:
    """A value of another type than the table's."""
    if wanted not in ("any", type_of(value)):
        yield Finding("type", where, name, f"{name} is {value!r}, no {wanted}")


def value_faults(where: str, name: str, value: object, table: Table) -> Iterator[Finding]:
    """A value that is neither in the list nor one of our own that are."""
    known = table.enums.get(name) or table.own.enums.get(name)
    if known is None or value in known or value in table.custom.get(name, {}):
        return
    yield Finding("value", where, name, f"{name} is {value!r}")


def own_faults(where: str, place: str, said: dict[str, Any], table: Table) -> Iterator[Finding]:
    """Faults of attributes of ours: their form, type, values and place."""
    for name, value in said.items():
        if not name.startswith("tokenproxy."):
            continue
        if not all(_COMPONENT.fullmatch(part) for part in name.split(".")):
            yield Finding("naming", where, name, f"{name} is not lower-case dotted snake_case")
        known = general(name, table.own.types)
        if known is None or place not in table.own.places[known]:
            yield Finding("place", where, name, f"{name} on a {place}")
        else:
            yield from type_faults(where, known, table.own.types[known], value)
        yield from value_faults(where, name, value, table)


def _common(span: Span, table: Table) -> Iterator[Finding]:
    said = span.attributes
    if span.scope != "tokenproxy" or span.schema_url != table.schema_url:
        yield Finding("scope", span.name, "", f"scope {span.scope!r}, schema {span.schema_url!r}")
    if span.end_ns < span.start_ns:
        yield Finding("times", span.name, "", "ends before it starts")
    yield from _status(span)
    made_up = {span.trace_id, span.span_id, said.get("tokenproxy.run.id")}
    if said.get("gen_ai.conversation.id", "") in made_up:
        yield Finding("conversation", span.name, "gen_ai.conversation.id", "made up")
    yield from own_faults(span.name, str(said.get("tokenproxy.span.role")), said, table)
    for name in said:
        if name.startswith(HEADER) and not _HEADER.fullmatch(name.removeprefix(HEADER)):
            yield Finding("naming", span.name, name, f"{name}: headers are told in lower case")
    for link in span.links:
        if "tokenproxy.link" not in link.attributes or set(link.trace_id) == {"0"}:
            yield Finding("link", span.name, "tokenproxy.link", "a link that does not say why")
        yield from own_faults(span.name, "link", link.attributes, table)
    for event in span.events:
        yield from _event(span, event, table)


def _status(span: Span) -> Iterator[Finding]:
    told = "error.type" in span.attributes
    if span.status == "ok":
        yield Finding("status-ok", span.name, "", "OK is for applications to set")
    if span.status == "error" and not told:
        yield Finding("error-untold", span.name, "error.type", "ERROR without error.type")
    if span.status != "error" and told:
        yield Finding("error-status", span.name, "error.type", f"error.type, but {span.status}")


def _event(span: Span, event: Event, table: Table) -> Iterator[Finding]:
    allowed = table.own.events.get(event.name)
    if allowed is None:
        yield Finding("event", span.name, event.name, f"event {event.name}")
        return
    yield from own_faults(span.name, "event", event.attributes, table)
    for name in event.attributes:
        if not name.startswith("tokenproxy.") and name not in allowed:
            yield Finding("event", span.name, name, f"{name} on event {event.name}")


def _shape(span: Span, rule: SpanRule) -> Iterator[Finding]:
    operation, noun = span.attributes["gen_ai.operation.name"], span.attributes.get(rule.noun)
    wanted = f"{operation} {noun}" if noun is not None else operation
    if span.name != wanted:
        yield Finding("name", rule.id, "", f"{span.name!r}, not {wanted!r}")
    if span.kind != rule.kind:
        yield Finding("kind", rule.id, "", f"{span.name} is {span.kind}")
    address = str(span.attributes.get("server.address", ""))
    if address.startswith("127.") or address == "localhost":
        yield Finding("address", rule.id, "server.address", f"{span.name} went to {address}")


def _level(
    evidence: Evidence, attribute: Attribute, rule: SpanRule, table: Table
) -> Iterator[Finding]:
    name, said = attribute.name, evidence.said
    prefix = name.removesuffix("<key>") if name.endswith(KEY) else None
    present = name in said if prefix is None else any(each.startswith(prefix) for each in said)
    if attribute.level == "opt-in":
        if present:
            yield Finding("opt-in", rule.id, name, f"{name} without being asked for")
        return
    if attribute.level == "required":
        if not present:
            yield Finding("required", rule.id, name, f"{evidence.span.name} lacks {name}")
        return
    question = Question(name, evidence, cut_is_error=table.dialect == "genai-main")
    holds = CONDITIONS[attribute.condition](question)
    if holds and not present:
        why = f"{evidence.span.name} lacks {name}: {table.conditions[attribute.condition]}"
        yield Finding(attribute.level, rule.id, name, why)
    if holds is False and present and attribute.condition in IFF:
        yield Finding("unfounded", rule.id, name, f"{evidence.span.name} has {name}")


def _unknown(span: Span, rule: SpanRule, attributes: dict[str, Attribute]) -> Iterator[Finding]:
    for name in span.attributes:
        if name.startswith("tokenproxy.") or general(name, attributes) is not None:
            continue
        if name.startswith(PROVIDERS_OWN):
            yield Finding("page", rule.id, name, f"{name} on a span of another provider")
        else:
            yield Finding("unknown", rule.id, name, f"{name} is not in the table")


def _amounts(span: Span, rule: SpanRule) -> Iterator[Finding]:
    said = span.attributes
    for whole, parts in _SUBSETS.items():
        told = [said[name] for name in parts if name in said]
        if told and whole in said and sum(told) > said[whole]:
            yield Finding("subset", rule.id, whole, f"{span.name}: {whole} is less than its parts")
    reasons = said.get("gen_ai.response.finish_reasons")
    if reasons is not None and (not reasons or not all(reasons)):
        name = "gen_ai.response.finish_reasons"
        yield Finding("reasons", rule.id, name, f"{span.name}: {reasons!r}")


def _sum(evidence: Evidence, rule: SpanRule) -> Iterator[Finding]:
    """Anthropic's page: all input is what it calls input, and both cache counts."""
    said, name = evidence.said, "gen_ai.usage.input_tokens"
    if name not in said or "tokenproxy.usage.uncached_input_tokens" not in said:
        return
    parts = [said.get(each, 0) for each in _SUBSETS[name]]
    if said[name] != said["tokenproxy.usage.uncached_input_tokens"] + sum(parts):
        yield Finding("page", rule.id, name, f"{evidence.span.name}: input is not the sum")
