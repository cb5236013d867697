"""The table of names. What is sent under them is held to the conventions in ``conformance/``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv

ROOM = Path(semconv.__file__).parent


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


def test_names_stand_in_the_table_and_nowhere_else() -> None:
    own = ("tokenproxy.run", "tokenproxy.usage", "tokenproxy.cost", "tokenproxy.call")
    others = [path for path in ROOM.rglob("*.py") if path.name != "semconv.py"]
    assert len(others) > 20
    for path in others:
        lines = [
            line
            for line in path.read_text().splitlines()
            if any(f'"{name}' in line for name in ("gen_ai.", *own))
        ]
        assert not lines, path.name
