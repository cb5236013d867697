"""docs/telemetry.md and docs/conventions.md name all that is emitted, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.telemetry import semconv

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "telemetry.md").read_text()
BOTH = TEXT + (DOCS / "conventions.md").read_text()
PREFIXES = (
    semconv.LABEL_PREFIX,
    semconv.SERVER_TOOL_PREFIX,
    semconv.HTTP_RESPONSE_HEADER_PREFIX,
)


def documented(name: str) -> bool:
    return f"`{name}`" in BOTH or any(
        name.startswith(prefix) and f"`{prefix}*`" in TEXT for prefix in PREFIXES
    )


def test_every_metric_is_documented() -> None:
    names = {metric.name for dialect in semconv.DIALECTS for metric in dialect.metrics()}
    assert not [name for name in names if not documented(name)]


def test_every_attribute_is_documented() -> None:
    for dialect in semconv.DIALECTS:
        spans = Memory(dialect=dialect).play(scene.calls()).spans
        assert len(spans) > 5
        for span in spans:
            assert not [name for name in span.attributes or () if not documented(name)], span.name


def test_every_name_of_ours_in_the_table_is_documented() -> None:
    ours = {
        value
        for name, value in vars(semconv).items()
        if name.isupper()
        and isinstance(value, str)
        and re.fullmatch(r"tokenproxy\.[\w.]*\w", value)
    }
    assert len(ours) > 40
    assert not sorted(name for name in ours if not documented(name))


def test_nothing_is_documented_that_there_is_not() -> None:
    known = {metric.name for dialect in semconv.DIALECTS for metric in dialect.metrics()}
    known |= {value for value in vars(semconv).values() if isinstance(value, str)}
    for dialect in semconv.DIALECTS:
        known |= {str(getattr(dialect, name)) for name in dialect.__struct_fields__}
    names = re.findall(r"`((?:tokenproxy|gen_ai)\.[\w.]+\w)`", TEXT)
    assert len(names) > 40
    for name in names:
        assert name in known, name
