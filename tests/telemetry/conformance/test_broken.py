"""The checker can fail: what a real run sent, broken in one way, is found; rule by rule.

And entry by entry: take away an attribute that the table demands, or give it another type,
and the checker says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from tests.telemetry.conformance.capture import PROTOCOLS, Capture
from tests.telemetry.conformance.check import check
from tests.telemetry.conformance.conditions import CONDITIONS, Evidence, Question
from tests.telemetry.conformance.findings import RULES, Finding, excused
from tests.telemetry.conformance.metrics import check_metrics, check_tallies
from tests.telemetry.conformance.spans import check_span
from tests.telemetry.conformance.table import Attribute, Table, general, load
from tests.telemetry.receiver import Event, Link, Point, Span

DIALECTS = pytest.mark.parametrize("dialect", PROTOCOLS)
WRONG: dict[str, Any] = {"string": 1, "int": "1", "double": 1, "boolean": "true", "string[]": "x"}
"""A value of another type than each."""


@dataclass
class Sent:
    """What is broken: the evidence and the points of one capture."""

    evidence: list[Evidence]
    points: list[Point]

    def span(self, wanted: Callable[[Evidence], object], **fields: Any) -> None:
        """Change the first span that is ``wanted``; an attribute that is None goes."""
        for place, one in enumerate(self.evidence):
            if wanted(one):
                self.evidence[place] = replace(one, span=changed(one.span, **fields))
                return
        raise AssertionError("no such span")

    def point(self, prefix: str, **fields: Any) -> None:
        """Change the first point of a metric whose name begins so."""
        for place, point in enumerate(self.points):
            if point.metric.startswith(prefix):
                said = {**point.attributes, **fields.pop("attributes", {})}
                said = {name: value for name, value in said.items() if value is not None}
                self.points[place] = replace(point, attributes=said, **fields)
                return
        raise AssertionError(prefix)


def changed(span: Span, **fields: Any) -> Span:
    said = {**span.attributes, **fields.pop("attributes", {})}
    said = {name: value for name, value in said.items() if value is not None}
    return replace(span, attributes=said, **fields)


def role(name: str) -> Callable[[Evidence], bool]:
    return lambda one: one.said.get("tokenproxy.span.role") == name


def complete(one: Evidence) -> bool:
    """A chat of Anthropic's that went well."""
    return (
        one.row is not None
        and one.row["success"]
        and one.row.get("stream") is True
        and (one.row["provider"], one.row["operation"]) == ("anthropic", "chat")
    )


def failed(one: Evidence) -> bool:
    return one.row is not None and not one.row["success"]


def linked(one: Evidence) -> bool:
    return bool(one.span.links)


def said(name: str) -> Callable[[Evidence], bool]:
    return lambda one: name in one.said


Break = Callable[[Sent], None]
INPUT = "gen_ai.usage.input_tokens"
DURATION = "gen_ai.client."
TOKENS = "tokenproxy.usage.tokens"

BROKEN: dict[str, list[Break]] = {
    "name": [
        lambda sent: sent.span(complete, name="POST /v1/messages"),
        lambda sent: sent.span(role("tool"), name="execute_tool"),
        lambda sent: sent.span(role("iteration"), name="invoke_agent somebody"),
    ],
    "kind": [
        lambda sent: sent.span(complete, kind="INTERNAL"),
        lambda sent: sent.span(role("tool"), kind="CLIENT"),
    ],
    "required": [
        lambda sent: sent.span(complete, attributes={"gen_ai.provider.name": None}),
        lambda sent: sent.point(DURATION, attributes={"gen_ai.operation.name": None}),
    ],
    "conditional": [
        lambda sent: sent.span(complete, attributes={"gen_ai.request.stream": None}),
        lambda sent: sent.point(DURATION, attributes={"server.port": None}),
    ],
    "recommended": [lambda sent: sent.span(complete, attributes={INPUT: None})],
    "unfounded": [
        lambda sent: sent.span(complete, attributes={"http.request.resend_count": 1}),
        lambda sent: sent.span(
            lambda one: one.streaming is False, attributes={"gen_ai.request.stream": True}
        ),
    ],
    "unknown": [
        lambda sent: sent.span(complete, attributes={"gen_ai.system": "anthropic"}),
        lambda sent: sent.span(complete, attributes={"url.full": "https://example.com"}),
        lambda sent: sent.point(DURATION, attributes={"gen_ai.request.temperature": 0.5}),
        lambda sent: sent.point(TOKENS, attributes={"server.port": 443}),
    ],
    "type": [
        lambda sent: sent.span(complete, attributes={"gen_ai.response.finish_reasons": "stop"}),
        lambda sent: sent.span(complete, attributes={INPUT: 12.0}),
        lambda sent: sent.span(complete, attributes={"tokenproxy.attempt": "0"}),
        lambda sent: sent.point(DURATION, attributes={"server.port": "443"}),
        lambda sent: sent.point(TOKENS, attributes={"gen_ai.request.model": 4}),
    ],
    "value": [
        lambda sent: sent.span(complete, attributes={"gen_ai.operation.name": "messages"}),
        lambda sent: sent.span(complete, attributes={"gen_ai.provider.name": "claude"}),
        lambda sent: sent.span(complete, attributes={"tokenproxy.outcome": "fine"}),
        lambda sent: sent.point(DURATION, attributes={"gen_ai.provider.name": "google"}),
        lambda sent: sent.point(TOKENS, attributes={"tokenproxy.token.kind": "input"}),
    ],
    "opt-in": [
        lambda sent: sent.span(complete, attributes={"gen_ai.input.messages": "[]"}),
        lambda sent: sent.span(role("tool"), attributes={"gen_ai.tool.call.arguments": "{}"}),
        lambda sent: sent.span(role("turn"), attributes={"gen_ai.system_instructions": "[]"}),
    ],
    "status-ok": [lambda sent: sent.span(complete, status="ok")],
    "error-untold": [lambda sent: sent.span(failed, attributes={"error.type": None})],
    "error-status": [
        lambda sent: sent.span(failed, status="unset"),
        lambda sent: sent.span(complete, attributes={"error.type": "500"}),
    ],
    "subset": [
        lambda sent: sent.span(complete, attributes={"gen_ai.usage.cache_read.input_tokens": 10**9})
    ],
    "address": [
        lambda sent: sent.span(complete, attributes={"server.address": "127.0.0.1"}),
        lambda sent: sent.span(complete, attributes={"server.address": "localhost"}),
    ],
    "conversation": [
        lambda sent: sent.span(
            complete, attributes={"gen_ai.conversation.id": "1" * 32}, trace_id="1" * 32
        )
    ],
    "reasons": [
        lambda sent: sent.span(complete, attributes={"gen_ai.response.finish_reasons": ()}),
        lambda sent: sent.span(complete, attributes={"gen_ai.response.finish_reasons": ("",)}),
    ],
    "times": [lambda sent: sent.span(complete, end_ns=0)],
    "page": [
        lambda sent: sent.span(complete, attributes={"openai.api.type": "chat_completions"}),
        lambda sent: sent.span(
            lambda one: complete(one) and INPUT in one.said, attributes={INPUT: 10**9}
        ),
    ],
    "naming": [
        lambda sent: sent.span(complete, attributes={"tokenproxy.label.Team-A": "blue"}),
        lambda sent: sent.span(complete, attributes={"http.response.header.Retry": ("1",)}),
    ],
    "clash": [lambda sent: sent.span(complete, attributes={"tokenproxy.outcome.word": "x"})],
    "place": [
        lambda sent: sent.span(complete, attributes={"tokenproxy.complexity": 3}),
        lambda sent: sent.span(complete, attributes={"tokenproxy.mood": "good"}),
        lambda sent: sent.point(TOKENS, attributes={"tokenproxy.client": "x"}),
    ],
    "link": [
        lambda sent: sent.span(linked, links=(Link("1" * 32, "2" * 16, {}),)),
        lambda sent: sent.span(
            linked, links=(Link("0" * 32, "2" * 16, {"tokenproxy.link": "client"}),)
        ),
    ],
    "event": [
        lambda sent: sent.span(complete, events=(Event("exception", 1, {}),)),
        lambda sent: sent.span(
            complete, events=(Event("tokenproxy.usage.part", 1, {"gen_ai.prompt": "x"}),)
        ),
    ],
    "scope": [
        lambda sent: sent.span(complete, scope="opentelemetry"),
        lambda sent: sent.span(complete, schema_url=""),
        lambda sent: sent.point(TOKENS, schema_url="https://opentelemetry.io/schemas/1.40.0"),
    ],
    "resource": [
        lambda sent: sent.span(complete, resource={"service.name": "unknown_service:python"}),
        lambda sent: sent.span(
            complete, resource={**sent.evidence[0].span.resource, "service.instance.id": "host"}
        ),
        lambda sent: sent.point(
            TOKENS, resource={**sent.points[0].resource, "tokenproxy.run.id": "1"}
        ),
    ],
    "metric": [lambda sent: sent.point(TOKENS, metric="tokenproxy.tokens")],
    "instrument": [lambda sent: sent.point(TOKENS, instrument="histogram")],
    "unit": [
        lambda sent: sent.point(TOKENS, unit="1"),
        lambda sent: sent.point(DURATION, unit="ms"),
    ],
    "bounds": [
        lambda sent: sent.point(DURATION, bounds=()),
        lambda sent: sent.point(DURATION, bounds=(0.005, 0.01)),
    ],
    "number": [
        lambda sent: sent.point(TOKENS, value=0.5),
        lambda sent: sent.point(TOKENS, value=-1),
    ],
    "temporality": [
        lambda sent: sent.point(TOKENS, temporality="cumulative"),
        lambda sent: sent.point(TOKENS, monotonic=False),
    ],
    "identity": [
        lambda sent: sent.point(TOKENS, attributes={"tokenproxy.run.id": "1"}),
        lambda sent: sent.point(DURATION, attributes={"gen_ai.conversation.id": "1"}),
        lambda sent: sent.point(DURATION, attributes={"tokenproxy.trace_id": "1"}),
    ],
    "absent": [
        lambda sent: sent.points.__setitem__(
            slice(None), [each for each in sent.points if not each.metric.endswith("duration")]
        )
    ],
}
"""Rule -> ways to break it."""


def test_every_rule_is_broken() -> None:
    assert {*BROKEN, "tally"} == set(RULES)


@DIALECTS
def test_what_is_broken_is_found(captures: dict[str, Capture], dialect: str) -> None:
    table = load(dialect)
    evidence, points = _few(captures[dialect])
    assert {rule for rule in _found(Sent(evidence, points), table) if rule != "tally"} == set()
    missed = []
    for rule, ways in BROKEN.items():
        for number, break_it in enumerate(ways):
            sent = Sent(list(evidence), list(points))
            break_it(sent)
            if rule not in _found(sent, table):
                missed.append((rule, number))
    assert missed == []


@DIALECTS
def test_a_call_that_is_not_measured_is_found(captures: dict[str, Capture], dialect: str) -> None:
    capture, table = captures[dialect], load(dialect)
    spans = list(capture.spans)
    assert list(check_tallies(capture.points, spans, table)) == []
    lost = next(one.span for one in capture.evidence if complete(one))
    assert list(check_tallies(capture.points, [s for s in spans if s != lost], table)) != []
    other = [
        changed(span, attributes={"error.type": "x"}) if span == lost else span for span in spans
    ]
    assert list(check_tallies(capture.points, other, table)) != []


@DIALECTS
def test_every_demand_bites(captures: dict[str, Capture], dialect: str) -> None:
    """Each attribute of each span's table that is sent: without it, and with another type."""
    table, bitten = load(dialect), 0
    for attribute, one in _sent(captures[dialect].evidence, table):
        if attribute.name == "gen_ai.operation.name":
            continue  # it tells which table holds
        name = next(each for each in one.said if general(each, {attribute.name: ""}))
        wrong = replace(one, span=changed(one.span, attributes={name: WRONG[attribute.type]}))
        assert _tells(check_span(wrong, table), "type", attribute.name), attribute.name
        without = replace(one, span=changed(one.span, attributes={name: None}))
        question = Question(attribute.name, one, cut_is_error=dialect == "genai-main")
        demanded = attribute.level == "required" or CONDITIONS[attribute.condition](question)
        if demanded and attribute.level != "opt-in":
            found = check_span(without, table)
            levels = {each.rule for each in found if each.attribute == attribute.name}
            assert levels & {"required", "conditional", "recommended"}, attribute.name
            bitten += 1
    assert bitten > 40


@DIALECTS
def test_every_metric_bites(captures: dict[str, Capture], dialect: str) -> None:
    """Each metric of the table that is sent: its unit, kind, bounds, and each attribute's type."""
    table, bitten = load(dialect), 0
    first = {point.metric: point for point in reversed(captures[dialect].points)}
    for name in table.metrics.keys() & first.keys():
        rule, point = table.metrics[name], first[name]
        other: Literal["counter", "histogram"] = (
            "counter" if rule.instrument == "histogram" else "histogram"
        )
        for finding, wrong in (
            ("unit", replace(point, unit="1")),
            ("instrument", replace(point, instrument=other)),
            ("bounds", replace(point, bounds=rule.bounds[1:] or (1.0, 1.0))),
        ):
            found = check_metrics([wrong], table)
            assert any(each.rule == finding and each.where == name for each in found), finding
        for attribute in rule.attributes.values():
            if attribute.name in point.attributes:
                said = {**point.attributes, attribute.name: WRONG[attribute.type]}
                found = check_metrics([replace(point, attributes=said)], table)
                assert _tells(found, "type", attribute.name), (name, attribute.name)
                bitten += 1
    assert bitten > 15


def _few(capture: Capture) -> tuple[list[Evidence], list[Point]]:
    """A span of each kind and a point of each metric: checked in no time."""
    spans: dict[tuple[object, ...], Evidence] = {}
    for one in capture.evidence:
        told = ("tokenproxy.span.role", "gen_ai.operation.name", "openai.api.type")
        there = ("error.type", "gen_ai.request.stream", "azure.resource_provider.namespace")
        kind = (
            *(one.said.get(name) for name in told),
            *(name in one.said for name in there),
            one.said.get("gen_ai.provider.name") == "anthropic",
            bool(one.span.links),
            one.streaming,
        )
        spans.setdefault(kind, one)
    points = {point.metric: point for point in reversed(capture.points)}
    return list(spans.values()), list(points.values())


def _found(sent: Sent, table: Table) -> set[str]:
    return {
        each.rule
        for each in check(sent.evidence, sent.points, table)
        if excused(each, table.deviations) is None
    }


def _sent(evidence: list[Evidence], table: Table) -> Iterator[tuple[Attribute, Evidence]]:
    """Each attribute of each table, with a span that has it."""
    left = {
        (rule.id, name): attribute
        for rule in table.spans.values()
        for name, attribute in {**rule.attributes, **table.http}.items()
    }
    for one in evidence:
        rule = table.span_of(one.said["gen_ai.operation.name"])
        assert rule is not None
        for key in list(left):
            if key[0] == rule.id and any(general(each, {key[1]: ""}) for each in one.said):
                if key[1] in table.http and one.row is None:
                    continue
                yield left.pop(key), one


def _tells(found: Iterator[Finding], rule: str, attribute: str) -> bool:
    return any((each.rule, each.attribute) == (rule, attribute) for each in found)
