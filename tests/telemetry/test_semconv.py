"""What is emitted, against the conventions' own tables (tests/telemetry/semconv_table.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.telemetry import scene, semconv_table
from tests.telemetry.memory import Memory
from tests.telemetry.semconv_table import STRINGS, Rules, SpanRule
from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv

BOTH = pytest.mark.parametrize(
    ("dialect", "rules"),
    [(V1_41, semconv_table.V1_41), (GENAI_MAIN, semconv_table.GENAI_MAIN)],
    ids=lambda value: value.name if isinstance(value, Semconv) else "",
)
ROOM = Path(semconv.__file__).parent
STANDARD = ("gen_ai.", "error.", "server.")


def is_a(value: object, kind: str) -> bool:
    if kind == STRINGS:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    types = {"string": str, "int": int, "double": float, "boolean": bool}
    return type(value) is types[kind]


def rule_of(span: ReadableSpan, rules: Rules) -> SpanRule:
    operation = span.name.split(" ")[0]
    return {"invoke_agent": rules.agent, "execute_tool": rules.tool}.get(operation, rules.inference)


def faults(span: ReadableSpan, rules: Rules) -> list[str]:
    rule = rule_of(span, rules)
    said: dict[str, Any] = dict(span.attributes or {})
    found = [f"{name} is missing" for name in rule.required - set(said)]
    found += [
        f"{name} is {value!r}, not {rule.attributes.get(name, 'allowed here')}"
        for name, value in said.items()
        if name.startswith(STANDARD)
        and (name not in rule.attributes or not is_a(value, rule.attributes[name]))
    ]
    if "server.address" in said and "server.port" not in said:
        found.append("server.port is missing")
    operation = rule.operation or said.get("gen_ai.operation.name")
    if span.name != f"{operation} {said.get(rule.noun)}":
        found.append(f"the name is {span.name!r}")
    if span.kind.name != rule.kind:
        found.append(f"the kind is {span.kind.name}")
    if (span.status.status_code.name == "ERROR") != ("error.type" in said):
        found.append("status and error.type disagree")
    return found


@BOTH
def test_every_span_is_as_the_conventions_demand(dialect: Semconv, rules: Rules) -> None:
    memory = Memory(dialect=dialect).play(scene.calls())
    assert {span.name: faults(span, rules) for span in memory.spans if faults(span, rules)} == {}


def test_the_check_sees_a_fault() -> None:
    spans = Memory(dialect=GENAI_MAIN).play(scene.calls()).spans
    told = {fault for span in spans for fault in faults(span, semconv_table.V1_41)}
    assert any("cache_write" in fault for fault in told)
    assert any("gen_ai.provider.name is missing" in fault for fault in told)


@BOTH
def test_every_metric_is_as_the_conventions_demand(dialect: Semconv, rules: Rules) -> None:
    memory = Memory(dialect=dialect).play(scene.calls())
    standard = [(m, p) for m, p in memory.points if m.name.startswith("gen_ai.")]
    assert {metric.name for metric, _ in standard} == set(rules.metrics)
    for metric, point in standard:
        rule = rules.metrics[metric.name]
        names = set(point.attributes)
        assert rule.required <= names <= rule.required | rule.optional, metric.name
        assert metric.unit == rule.unit
        assert hasattr(point, "bucket_counts") == (rule.instrument == "histogram")
        if rule.bounds:
            # A bound may be added above; none of theirs may be missing.
            assert tuple(point.explicit_bounds)[: len(rule.bounds)] == rule.bounds, metric.name


@BOTH
def test_the_token_metrics_bounds_are_exactly_theirs(dialect: Semconv, rules: Rules) -> None:
    memory = Memory(dialect=dialect).play(scene.calls())
    told = {
        tuple(point.explicit_bounds)
        for metric, point in memory.points
        if metric.unit == "{token}" and hasattr(point, "explicit_bounds")
    }
    assert told == {semconv_table.TOKEN_BOUNDS}
    assert rules.metrics


def test_token_types_and_modality_are_their_values() -> None:
    old = Memory().play(scene.calls())
    types = {p.attributes.get("gen_ai.token.type") for m, p in old.points} - {None}
    assert types == semconv_table.V1_41.token_types
    new = Memory(dialect=GENAI_MAIN).play(scene.calls())
    assert {p.attributes.get("gen_ai.token.modality") for m, p in new.points} - {None} == {
        "unknown"
    }


def test_metric_attributes_are_few_valued() -> None:
    for dialect in semconv.DIALECTS:
        for metric, point in Memory(dialect=dialect).play(scene.calls()).points:
            ids = {"run", "call", "turn", "session", "conversation", "request_id", "agent.id"}
            assert not [name for name in point.attributes if ids & set(name.split("."))], metric


@pytest.mark.parametrize(
    ("value", "dialect"),
    [
        ("", V1_41),
        ("http", V1_41),
        ("gen_ai_latest_experimental", GENAI_MAIN),
        ("http/dup, gen_ai_latest_experimental", GENAI_MAIN),
    ],
)
def test_the_dialect_is_chosen_by_the_standard_variable(value: str, dialect: Semconv) -> None:
    assert semconv.choose({"OTEL_SEMCONV_STABILITY_OPT_IN": value}) is dialect


def test_without_the_variable_the_dialect_is_the_released_one() -> None:
    assert semconv.choose({}) is V1_41


@pytest.mark.parametrize("ledger_name", ["anthropic", "openai", "google", "deepseek"])
def test_providers_have_their_well_known_names(ledger_name: str) -> None:
    assert semconv.provider_name(ledger_name) in semconv_table.PROVIDERS


def test_names_stand_in_the_table_and_nowhere_else() -> None:
    own = ("tokenproxy.run", "tokenproxy.usage", "tokenproxy.cost", "tokenproxy.call")
    for path in ROOM.glob("*.py"):
        if path.name == "semconv.py":
            continue
        lines = [
            line
            for line in path.read_text().splitlines()
            if any(f'"{name}' in line for name in ("gen_ai.", *own))
        ]
        assert not lines, path.name
