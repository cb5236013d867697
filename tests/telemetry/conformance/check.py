"""All checks of a capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.telemetry.conformance.conditions import Evidence
from tests.telemetry.conformance.findings import Finding
from tests.telemetry.conformance.metrics import check_metrics, check_resources, check_tallies
from tests.telemetry.conformance.spans import check_spans
from tests.telemetry.conformance.table import Table
from tests.telemetry.receiver import Point


def check(evidence: Sequence[Evidence], points: Sequence[Point], table: Table) -> Iterator[Finding]:
    """Every fault of what was sent."""
    spans = [one.span for one in evidence]
    yield from check_spans(evidence, table)
    yield from check_metrics(points, table)
    yield from check_tallies(points, spans, table)
    senders = {tuple(sorted(span.resource.items())) for span in spans}
    senders |= {tuple(sorted(point.resource.items())) for point in points}
    yield from check_resources((dict(each) for each in senders), table)
