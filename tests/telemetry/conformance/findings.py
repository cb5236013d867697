"""What a check found, and whether we mean it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from tests.telemetry.conformance.table import Deviation, Table

Rule = Literal[
    # spans; those with a * are policies of open-telemetry/semantic-conventions-conformance
    # (tools/gen-ai/runner: genai_span_validation.rego; tools/runner: span_validation.rego) too
    "name",  # * genai_span_name_format
    "kind",  # * genai_span_kind_unexpected
    "required",  # * genai_expected_attribute_missing
    "conditional",
    "recommended",  # * the same
    "unfounded",
    "unknown",
    "type",
    "value",  # * genai_operation_name_unknown, and every other list of values
    "opt-in",
    "status-ok",  # * span_status_ok_set_by_instrumentation
    "error-untold",  # * error_type_missing_on_error
    "error-status",  # * error_type_without_error_status
    "subset",
    "address",
    "conversation",
    "reasons",
    "times",
    "page",
    # names, scope, resource
    "naming",
    "clash",
    "place",
    "link",
    "event",
    "scope",
    "resource",
    # metrics
    "metric",
    "instrument",
    "unit",
    "bounds",
    "number",
    "temporality",
    "identity",
    "absent",
    "tally",
]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class Finding:
    """One fault. ``where`` is a span's or metric's rule, ``what`` a sentence for people."""

    rule: Rule
    where: str
    attribute: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


def excused(finding: Finding, deviations: Iterable[Deviation]) -> Deviation | None:
    """The deviation that a finding is, if we mean it."""
    for each in deviations:
        if (each.rule, each.attribute) != (finding.rule, finding.attribute):
            continue
        if not each.spans or finding.where in each.spans:
            return each
    return None


def faults(found: Iterable[Finding], table: Table) -> list[str]:
    """What is left when deviations are taken away, each once."""
    return sorted({str(each) for each in found if excused(each, table.deviations) is None})
