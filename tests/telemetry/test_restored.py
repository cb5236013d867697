from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.telemetry import scene
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import Row
from tokenproxy.telemetry.restored import restored_call, restored_row, restored_run, started_ns

ROWS = [row for call in scene.calls() if (row := scene.row_of(call)) is not None]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call_id)
def test_a_row_of_the_restored_call_is_the_same_row(row: Row) -> None:
    """But for what is read from the answer, which the call no longer has."""
    again = make_row(restored_call(row), restored_run(row), None)
    of_the_answer = {
        name
        for name in Row.__struct_fields__
        if name.endswith(("_tokens", "_usd"))
    } | {
        "completeness", "price_version", "parts", "service_tier", "server_tool_use", "speed",
        "inference_geo", "notes", "usage",
    }  # fmt: skip
    kept = [name for name in Row.__struct_fields__ if name not in of_the_answer]
    assert {name: getattr(again, name) for name in kept} == {
        name: getattr(row, name) for name in kept
    }


def test_the_start_is_exact() -> None:
    row = msgspec.structs.replace(ROWS[0], timestamp="2026-11-22T00:54:55.830Z")
    assert started_ns(row) == 1_795_308_895_830_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"trace_id": None},
        {"span_id": "0" * 16},
        {"span_id": "xyz"},
        {"trace_id": "1" * 31},
        {"timestamp": "yesterday"},
        {"latency_ms": -1.0},
        {"call_id": None},
        {"input_tokens": "many"},
    ],
)
def test_what_can_be_no_span(changes: dict[str, Any]) -> None:
    sound = msgspec.to_builtins(ROWS[0])
    assert restored_row(sound) == ROWS[0]
    assert restored_row({k: v for k, v in (sound | changes).items() if v is not None}) is None


def test_a_gateway_is_told_by_what_it_does_not_state() -> None:
    assert not restored_run(ROWS[0]).gateway
    served = msgspec.structs.replace(ROWS[0], story_id="", iteration=0, project=None)
    assert restored_run(served).gateway


def test_without_an_answer_no_model_has_served() -> None:
    refused = msgspec.structs.replace(
        ROWS[0], completeness="none", response_id=None, model="m", requested_model="m"
    )
    assert restored_call(refused).end.reading.model is None
    other = msgspec.structs.replace(refused, model="n")
    assert restored_call(other).end.reading.model == "n"


def test_a_fetched_answer_has_no_time_of_its_own() -> None:
    fetched = msgspec.structs.replace(ROWS[0], call_id="01890000-0000-8000-8000-000000000001")
    assert restored_call(fetched).start.kind == "batch_results"
    assert restored_call(ROWS[0]).start.kind == "inference"
