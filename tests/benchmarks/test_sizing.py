"""docs/scale.md has the figures that benchmarks/sizing.py prints, and the tables' own times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import sizing

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scale.md").read_text()
TABLES = ROOT / "docker" / "scale" / "clickhouse"


def test_the_document_has_what_is_calculated() -> None:
    assert sizing.tables(sizing.MEASURED) in TEXT


def test_the_retention_is_the_tables() -> None:
    spans = re.search(r"INTERVAL (\d+) DAY", (TABLES / "1-spans.sql").read_text())
    calls = re.search(r"INTERVAL (\d+) MONTH", (TABLES / "2-calls.sql").read_text())
    assert spans
    assert calls
    assert (int(spans[1]), int(calls[1])) == (sizing.SPAN_DAYS, sizing.CALL_MONTHS)
    assert f"| `otel_traces` | a span, as the exporter inserts it | {spans[1]} days |" in TEXT
    assert f"| `calls` | a call | {calls[1]} months |" in TEXT


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.46, "0.5"), (2_000_000, "2 million"), (19_000, "19 thousand"), (46.9, "47"), (187, "190")],
)
def test_numbers_have_two_digits(value: float, said: str) -> None:
    assert sizing.number(value) == said


def test_bytes_have_a_unit() -> None:
    assert [sizing.size(10.0**power) for power in (2, 4, 7, 10, 13, 16)] == [
        "100 B",
        "10 kB",
        "10 MB",
        "10 GB",
        "10 TB",
        "10 PB",
    ]


def test_every_file_that_the_document_names_is_there() -> None:
    names = re.findall(r"\]\(\.\./(docker/scale[^)*]*)\)", TEXT)
    assert names
    for name in names:
        assert (ROOT / name).exists(), name
