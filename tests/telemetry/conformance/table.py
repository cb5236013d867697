"""The conventions as data: what is emitted is held to the files beside this one.

``v1_41.toml`` and ``genai_main.toml`` are copied by hand from the specifications' own
tables, each entry with its source; ``general.toml`` has what is common to both, our own
names, and our deviations. Nothing here is imported from tokenproxy.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

HERE = Path(__file__).parent
KEY = ".<key>"
"""The end of a name whose last part is free."""

Level = Literal["required", "conditional", "recommended", "opt-in"]
Raw = dict[str, Any]


@dataclass(frozen=True)
class Attribute:
    """What a table demands of one attribute. ``type`` as the documents word it."""

    name: str
    type: str
    level: Level
    condition: str = "always"


@dataclass(frozen=True)
class SpanRule:
    """One kind of span: its name is ``{operation} {noun's value}``."""

    id: str
    source: str
    operations: frozenset[str]
    kind: str
    noun: str
    attributes: dict[str, Attribute]


@dataclass(frozen=True)
class Page:
    """What the page of one provider adds to, or demands otherwise of, a span."""

    source: str
    span: str
    provider: str
    attributes: dict[str, Attribute]
    input_is_sum: bool = False


@dataclass(frozen=True)
class MetricRule:
    """One metric; ``bounds`` are of a histogram, more may follow above."""

    name: str
    source: str
    level: str
    instrument: str
    unit: str
    bounds: tuple[float, ...]
    attributes: dict[str, Attribute]


@dataclass(frozen=True)
class Deviation:
    """What the checker finds and we mean."""

    rule: str
    attribute: str
    reason: str
    spans: tuple[str, ...] = ()
    """Where; everywhere if there is none."""
    dialects: tuple[str, ...] = ("1.41", "genai-main")


@dataclass(frozen=True)
class Remark:
    """A deviation, or a choice, that no checker can see."""

    about: str
    source: str
    text: str


@dataclass(frozen=True)
class Own:
    """Names of ours. ``places`` are roles of spans, or ``link``, ``event``, ``metric``."""

    types: dict[str, str]
    places: dict[str, frozenset[str]]
    enums: dict[str, frozenset[str]]
    events: dict[str, frozenset[str]]
    metrics: dict[str, tuple[str, str]]
    metric_attributes: dict[str, str]


@dataclass(frozen=True)
class Table:
    """All of one dialect, what is common included."""

    dialect: str
    schema_url: str
    repository: str
    revision: str
    enums: dict[str, frozenset[str]]
    custom: dict[str, dict[str, str]]
    custom_span: str
    spans: dict[str, SpanRule]
    pages: tuple[Page, ...]
    metrics: dict[str, MetricRule]
    http: dict[str, Attribute]
    resource: dict[str, Attribute]
    own: Own
    deviations: tuple[Deviation, ...]
    remarks: tuple[Remark, ...]
    conditions: dict[str, str]

    def span_of(self, operation: object) -> SpanRule | None:
        """The rule for spans of an operation; None if it is neither theirs nor ours."""
        for rule in self.spans.values():
            if operation in rule.operations:
                return rule
        if operation in self.custom["gen_ai.operation.name"]:
            return self.spans[self.custom_span]
        return None

    def pages_of(self, rule: SpanRule, operation: object, provider: object) -> list[Page]:
        """The pages of single providers that hold for a span."""
        return [
            page
            for page in self.pages
            if (page.span, page.provider) == (rule.id, provider) and operation in rule.operations
        ]


def general(name: str, known: dict[str, Any]) -> str | None:
    """The table's name for an attribute: itself, or the one whose last part is free."""
    if name in known:
        return name
    head = name
    while "." in head:
        head = head.rpartition(".")[0]
        if head + KEY in known:
            return head + KEY
    return None


@cache
def load(dialect: str) -> Table:
    """The table of ``1.41`` or ``genai-main``."""
    own = _read("v1_41.toml" if dialect == "1.41" else "genai_main.toml")
    both = _read("general.toml")
    assert own["dialect"] == dialect
    return Table(
        dialect=dialect,
        schema_url=own["schema_url"],
        repository=own["repository"],
        revision=own["revision"],
        enums={name: frozenset(enum["values"]) for name, enum in own["enums"].items()},
        custom=both["custom"],
        custom_span=both["custom_spans"][dialect],
        spans={
            name: SpanRule(
                id=name,
                source=span["source"],
                operations=frozenset(span["operations"]),
                kind=span["kind"],
                noun=span["noun"],
                attributes=_attributes(span["attributes"]),
            )
            for name, span in own["spans"].items()
        },
        pages=tuple(
            Page(
                source=page["source"],
                span=page["span"],
                provider=page["provider"],
                attributes=_attributes(page.get("attributes", {})),
                input_is_sum=page.get("input_is_sum", False),
            )
            for page in own["pages"].values()
        ),
        metrics={
            name: MetricRule(
                name=name,
                source=metric["source"],
                level=metric["level"],
                instrument=metric["instrument"],
                unit=metric["unit"],
                bounds=tuple(metric.get("bounds", ())),
                attributes=_attributes(metric["attributes"]),
            )
            for name, metric in own["metrics"].items()
        },
        http=_attributes(both["http"]["attributes"]),
        resource=_attributes(both["resource"]["attributes"]),
        own=_own(both["own"]),
        deviations=tuple(
            each for each in _deviations(both["deviations"]) if dialect in each.dialects
        ),
        remarks=tuple(Remark(**each) for each in both["remarks"]),
        conditions=both["conditions"],
    )


def sources(dialect: str) -> list[str]:
    """Every ``source`` of a dialect's file, with what it belongs to."""
    raw = _read("v1_41.toml" if dialect == "1.41" else "genai_main.toml")
    return [
        f"{kind}.{name}: {entry.get('source', '')}"
        for kind in ("enums", "spans", "pages", "metrics")
        for name, entry in raw[kind].items()
    ]


def _read(name: str) -> Raw:
    return tomllib.loads((HERE / name).read_text())


def _attributes(raw: dict[str, str]) -> dict[str, Attribute]:
    found = {}
    for name, words in raw.items():
        kind, level, *condition = words.split()
        found[name] = Attribute(name, kind, cast("Level", level), *condition)
    return found


def _deviations(raw: list[Raw]) -> list[Deviation]:
    return [
        Deviation(
            rule=each["rule"],
            attribute=each["attribute"],
            reason=each["reason"],
            spans=tuple(each.get("spans", ())),
            dialects=tuple(each.get("dialects", Deviation.dialects)),
        )
        for each in raw
    ]


def _own(raw: Raw) -> Own:
    split = {name: words.split() for name, words in raw["attributes"].items()}
    metrics = {name: words.split() for name, words in raw["metrics"].items()}
    return Own(
        types={name: words[0] for name, words in split.items()},
        places={name: frozenset(words[1:]) for name, words in split.items()},
        enums={name: frozenset(values) for name, values in raw["enums"].items()},
        events={name: frozenset(values) for name, values in raw["events"].items()},
        metrics={name: (words[0], words[1]) for name, words in metrics.items()},
        metric_attributes=raw["metric_attributes"],
    )
