"""A report over ten million calls: exact, and a matter of seconds."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.stack import many
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.test_clickhouse import said

LIMIT_S = 120
LIMIT_BYTES = 8 << 30


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    """A ClickHouse with ten million calls and half a million copies, as they were inserted."""
    # Not pytest's directory: that one is kept for the next three sessions.
    with tempfile.TemporaryDirectory() as directory, ClickHouse(Path(directory)) as made:
        made.create_tables()
        made.keep_all()
        begin = time.monotonic()
        many.fill(made)
        tell(f"{many.CALLS + many.COPIES:,} rows inserted in {time.monotonic() - begin:.0f} s")
        yield made


def tell(sentence: str) -> None:
    """A figure for whoever reads the test's output (pytest -s)."""
    sys.stdout.write(f"\n{sentence}")


def peak_bytes(pid: int) -> int:
    """Memory that a process had at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def report(clickhouse: ClickHouse, *words: str) -> dict[str, Any]:
    """A report, and what it took."""
    begin = time.monotonic()
    made: dict[str, Any] = json.loads(
        said("--source", clickhouse.source, "--utc", "--json", *words)
    )
    took = time.monotonic() - begin
    tell(f"report {' '.join(words)}: {len(made['rows'])} lines in {took:.1f} s")
    assert took < LIMIT_S
    return made


@pytest.mark.timeout(900)
def test_ten_million_calls_add_up(clickhouse: ClickHouse) -> None:
    (size,) = clickhouse.ask(
        "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS rows, count() AS parts FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = 'calls'"
    )
    stored, rows = int(size["bytes"]), int(size["rows"])
    tell(f"{rows:,} rows in {size['parts']} parts, {stored / rows:.1f} bytes a row on disk")
    assert rows > many.CALLS, "merges were quicker than the test: nothing is shown"
    for by in ("day", "model", "story,model"):
        made = report(clickhouse, "--by", by)
        total = made["total"]
        assert total["calls"] == many.CALLS
        assert total["failed"] == total["unpriced"] == total["incomplete"] == 0
        assert total["input_tokens"] == many.INPUT
        assert total["cache_read_input_tokens"] == many.CALLS * 15_000
        assert total["output_tokens"] == many.OUTPUT
        assert total["cost_usd"] == float(many.COST)
        assert total["latency_ms_p50"] == 1499.5
        if by == "model":
            costs = {row["model"]: row["cost_usd"] for row in made["rows"]}
            assert costs == {
                "claude-opus-5-5": float(many.COST - many.HAIKU),
                "claude-haiku-4-5": float(many.HAIKU),
            }
    assert len(report(clickhouse, "--by", "hour", "--since", "2026-11-20")["rows"]) > 200
    clickhouse.ask("SELECT count(), sum(input_tokens) FROM calls FINAL")
    tell(f"a sum with FINAL read {clickhouse.last.rows:,} rows in {clickhouse.last.seconds:.1f} s")
    where = "started >= '2026-11-20' AND started < '2026-11-21'"
    clickhouse.ask(f"SELECT count(), sum(input_tokens) FROM calls FINAL WHERE {where}")  # noqa: S608 - our own words
    tell(f"a day of it read {clickhouse.last.rows:,} rows in {clickhouse.last.seconds:.2f} s")
    assert clickhouse.last.rows < many.CALLS / 5
    peak = peak_bytes(clickhouse.pid)
    tell(f"memory at most {peak / 2**30:.1f} GiB, disk {stored / 2**30:.2f} GiB\n")
    assert peak < LIMIT_BYTES
    assert stored < LIMIT_BYTES
