"""Holds metrics, and who sends them, to the table."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tests.telemetry.conformance.findings import Finding
from tests.telemetry.conformance.operations import FETCHED
from tests.telemetry.conformance.spans import own_faults, type_faults, type_of, value_faults
from tests.telemetry.conformance.table import MetricRule, Table
from tests.telemetry.receiver import Attributes, Point, Span

IDS = ("id", "run", "session", "conversation", "trace", "span", "turn", "call", "iteration")
"""Words that make a name one of a run, session, call or trace."""
NO_IDS = ("tokenproxy.story.id",)
"""A story outlives its runs."""


def check_metrics(points: Sequence[Point], table: Table) -> Iterator[Finding]:
    """Every fault of every data point."""
    for point in points:
        yield from _common(point, table)
        rule = table.metrics.get(point.metric)
        own = table.own.metrics.get(point.metric)
        if rule is not None:
            yield from _shape(point, rule.instrument, rule.unit)
            yield from _bounds(point, rule)
            yield from _attributes(point, rule)
        elif own is not None:
            yield from _shape(point, *own)
            yield from _own_attributes(point, table)
        else:
            yield Finding("metric", point.metric, "", f"{point.metric} is not in the table")
        yield from own_faults(point.metric, "metric", point.attributes, table)
        for name, value in point.attributes.items():
            yield from value_faults(point.metric, name, value, table)
    told = {point.metric for point in points}
    for rule in table.metrics.values():
        if rule.level == "required" and rule.name not in told:
            yield Finding("absent", rule.name, "", f"{rule.name} is required")


def check_tallies(
    points: Sequence[Point], spans: Iterable[Span], table: Table
) -> Iterator[Finding]:
    """A duration for every span of a call, failed where the span is; what was fetched has none."""
    durations = (
        "gen_ai.client.operation.duration",
        "gen_ai.client.inference.duration",
        "gen_ai.client.embeddings.duration",
    )
    measured: Counter[tuple[object, object]] = Counter()
    for point in points:
        if point.metric in durations:
            said = point.attributes
            measured[said.get("gen_ai.operation.name"), said.get("error.type")] += point.count
    traced = Counter(
        (span.attributes["gen_ai.operation.name"], span.attributes.get("error.type"))
        for span in spans
        if span.attributes.get("tokenproxy.span.role") == "call" and not _was_fetched(span)
    )
    for key in sorted(measured.keys() | traced.keys(), key=str):
        if measured[key] != traced[key] and key[0] not in table.custom["gen_ai.operation.name"]:
            what = f"{traced[key]} spans, {measured[key]} durations of {key}"
            yield Finding("tally", "durations", str(key[0]), what)


def _was_fetched(span: Span) -> bool:
    fetched = span.attributes.get("tokenproxy.client_request.id") in FETCHED
    return fetched and span.attributes["gen_ai.operation.name"] != "fetch_response"


def check_resources(resources: Iterable[Attributes], table: Table) -> Iterator[Finding]:
    """Who sends: named, stable, and nothing of a run."""
    for resource in resources:
        for attribute in table.resource.values():
            if attribute.name not in resource:
                what = f"the resource lacks {attribute.name}"
                yield Finding("resource", "resource", attribute.name, what)
            else:
                value = resource[attribute.name]
                yield from type_faults("resource", attribute.name, attribute.type, value)
        if str(resource.get("service.name", "")).startswith("unknown_service"):
            yield Finding("resource", "resource", "service.name", "the service has no name")
        try:
            uuid.UUID(str(resource.get("service.instance.id")))
        except ValueError:
            yield Finding("resource", "resource", "service.instance.id", "the instance is no UUID")
        for name in resource:
            if name.startswith(("tokenproxy.", "gen_ai.", "process.")):
                yield Finding("resource", "resource", name, f"{name} is not of the sender")


def _common(point: Point, table: Table) -> Iterator[Finding]:
    if point.scope != "tokenproxy" or point.schema_url != table.schema_url:
        what = f"scope {point.scope!r}, schema {point.schema_url!r}"
        yield Finding("scope", point.metric, "", what)
    for name in point.attributes:
        if name not in NO_IDS and set(name.replace("_", ".").split(".")) & set(IDS):
            yield Finding("identity", point.metric, name, f"{name} has a value for every run")
    if point.temporality != "delta":
        yield Finding("temporality", point.metric, "", f"{point.metric} is {point.temporality}")
    if not point.monotonic:
        yield Finding("temporality", point.metric, "", f"{point.metric} may fall")


def _shape(point: Point, instrument: str, unit: str) -> Iterator[Finding]:
    if point.instrument != instrument:
        yield Finding("instrument", point.metric, "", f"{point.metric} is a {point.instrument}")
    if point.unit != unit:
        yield Finding("unit", point.metric, "", f"{point.metric} is in {point.unit!r}")
    if unit.startswith("{") and point.value != int(point.value):
        yield Finding("number", point.metric, "", f"{point.metric} counts {point.value}")
    if point.value < 0:
        yield Finding("number", point.metric, "", f"{point.metric} is {point.value}")


def _bounds(point: Point, rule: MetricRule) -> Iterator[Finding]:
    """Theirs, and perhaps more above; all rising."""
    ours = point.bounds
    if ours[: len(rule.bounds)] != rule.bounds or list(ours) != sorted(set(ours)):
        yield Finding("bounds", point.metric, "", f"{point.metric} has bounds {ours}")


def _attributes(point: Point, rule: MetricRule) -> Iterator[Finding]:
    said = point.attributes
    for name, attribute in rule.attributes.items():
        if attribute.level == "required" and name not in said:
            yield Finding("required", rule.name, name, f"{rule.name} lacks {name}")
        if name in said:
            yield from type_faults(rule.name, name, attribute.type, said[name])
    if "server.port" in rule.attributes and ("server.address" in said) != ("server.port" in said):
        what = f"{rule.name} has server.address or server.port alone"
        yield Finding("conditional", rule.name, "server.port", what)
    for name in said:
        if name not in rule.attributes and not name.startswith("tokenproxy."):
            yield Finding("unknown", rule.name, name, f"{name} is not in the table")


def _own_attributes(point: Point, table: Table) -> Iterator[Finding]:
    for name, value in point.attributes.items():
        if name.startswith("tokenproxy."):
            continue
        wanted = table.own.metric_attributes.get(name)
        if wanted is None:
            yield Finding("unknown", point.metric, name, f"{name} is not in the table")
        elif type_of(value) != wanted:
            yield Finding("type", point.metric, name, f"{name} is {value!r}, no {wanted}")
