"""What a real run sends, held to the semantic conventions; and nothing in the table is idle."""

from __future__ import annotations

import pytest

from tests.telemetry.conformance.capture import PROTOCOLS, Capture
from tests.telemetry.conformance.check import check
from tests.telemetry.conformance.conditions import CONDITIONS
from tests.telemetry.conformance.findings import excused, faults
from tests.telemetry.conformance.table import KEY, general, load, sources
from tokenproxy.telemetry import semconv

DIALECTS = pytest.mark.parametrize("dialect", PROTOCOLS)


@DIALECTS
def test_what_is_sent_conforms(captures: dict[str, Capture], dialect: str) -> None:
    sent, table = captures[dialect], load(dialect)
    assert faults(check(sent.evidence, sent.points, table), table) == []


@DIALECTS
def test_no_deviation_outlives_its_reason(captures: dict[str, Capture], dialect: str) -> None:
    sent, table = captures[dialect], load(dialect)
    found = check(sent.evidence, sent.points, table)
    met = {excused(each, table.deviations) for each in found}
    assert [each for each in table.deviations if each not in met] == []


@DIALECTS
def test_every_row_has_its_span(captures: dict[str, Capture], dialect: str) -> None:
    sent = captures[dialect]
    told = {span.span_id: span.attributes["tokenproxy.operation"] for span in sent.calls()}
    assert {row["span_id"]: row["operation"] for row in sent.rows}.items() <= told.items()


NOT_SENT = {
    # Who sells these caches does not bill in parts.
    ("event", "tokenproxy.usage.cache_creation_30m_input_tokens"),
    ("event", "tokenproxy.usage.cache_creation_12h_input_tokens"),
}
"""What nothing in the simulator gives a reason to."""


@DIALECTS
def test_every_name_is_met(captures: dict[str, Capture], dialect: str) -> None:
    """Attributes by the role of their span, as the table has them; metrics and their attributes."""
    sent, own = captures[dialect], load(dialect).own
    met: set[tuple[str, str]] = set()
    for span in sent.spans:
        met |= {(str(span.attributes["tokenproxy.span.role"]), name) for name in span.attributes}
        met |= {("link", name) for link in span.links for name in link.attributes}
        met |= {("event", name) for event in span.events for name in event.attributes}
    met |= {("metric", name) for point in sent.points for name in point.attributes}
    seen = {(place, general(name, own.types) or name) for place, name in met}
    wanted = {(place, name) for name, places in own.places.items() for place in places}
    assert wanted - seen == NOT_SENT


@DIALECTS
def test_every_name_of_the_code_is_met(captures: dict[str, Capture], dialect: str) -> None:
    """The dialect's names and ours (tokenproxy/telemetry/semconv.py), each once at least."""
    (code,) = [each for each in semconv.DIALECTS if each.name == dialect]
    sent = captures[dialect]
    met = {name for span in sent.spans for name in span.attributes}
    met |= {name for span in sent.spans for link in span.links for name in link.attributes}
    met |= {name for span in sent.spans for event in span.events for name in event.attributes}
    met |= {event.name for span in sent.spans for event in span.events}
    met |= {name for point in sent.points for name in point.attributes}
    met |= {name for span in sent.spans for name in span.resource}
    names = {
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and "." in value and not value.endswith(".")
    }
    fields = {getattr(code, name) for name in code.__struct_fields__}
    names |= {value for value in fields if isinstance(value, str) and value.startswith("gen_ai.")}
    if dialect == "1.41":
        names.discard(code.token_modality)
    else:
        names.discard(code.token_type)
    assert names - met == set()
    assert {metric.name for metric in code.metrics()} == {point.metric for point in sent.points}


@DIALECTS
def test_every_span_and_page_is_met(captures: dict[str, Capture], dialect: str) -> None:
    sent, table = captures[dialect], load(dialect)
    told = {
        (span.attributes["gen_ai.operation.name"], span.attributes.get("gen_ai.provider.name"))
        for span in sent.spans
    }
    operations = {operation for operation, _ in told}
    for rule in table.spans.values():
        assert rule.operations <= operations, rule.id
    for page in table.pages:
        kinds = table.spans[page.span].operations
        assert any(p == page.provider and o in kinds for o, p in told), page.source
    assert set(table.custom["gen_ai.operation.name"]) <= operations
    providers = {provider for _, provider in told} - table.enums["gen_ai.provider.name"] - {None}
    assert providers <= set(table.custom["gen_ai.provider.name"])


@DIALECTS
def test_every_entry_cites_its_source(dialect: str) -> None:
    for entry in sources(dialect):
        assert ": docs/" in entry, entry
        assert dialect == "1.41" or " @" in entry, entry


def test_every_condition_has_words_and_code() -> None:
    table = load("1.41")
    assert set(table.conditions) == set(CONDITIONS)
    used = {attribute.condition for attribute in table.http.values()}
    for each in map(load, PROTOCOLS):
        tables = [rule.attributes for rule in each.spans.values()]
        tables += [page.attributes for page in each.pages]
        tables += [metric.attributes for metric in each.metrics.values()]
        used |= {attribute.condition for found in tables for attribute in found.values()}
    assert used == set(CONDITIONS)


def test_a_name_may_end_in_a_key() -> None:
    known = {f"a.b{KEY}": "", "a.c": ""}
    assert general("a.b.c", known) == f"a.b{KEY}"
    assert general("a.c", known) == "a.c"
    assert general("a.d", known) is None
