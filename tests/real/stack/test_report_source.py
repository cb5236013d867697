"""The report over ClickHouse is the ledger's after real runs through the real collectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.bench import Bench, wait_until
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.loops import Loops
from tests.real.stack.scale import Scale
from tests.real.stack.test_clickhouse import PLAIN, said

ARRIVES_S = 120


@pytest.mark.timeout(400)
def test_real_runs_are_reported_as_by_the_ledger(bench: Bench, tmp_path: Path) -> None:
    with ClickHouse(tmp_path, password="of the collectors") as clickhouse:
        clickhouse.create_tables()
        with Scale(tmp_path, clickhouse) as scale:
            Loops(bench, scale.env).run(mixed=2, curl=4, agent=2)
            rows = bench.rows()
            wait_until(
                lambda: int(clickhouse.value("SELECT count() AS n FROM calls FINAL")) >= len(rows),
                ARRIVES_S,
                "calls are missing",
            )
        for by in (*PLAIN, "label:team", "model,outcome"):
            ledger, source = (
                said(*of, "--by", by, "--json")
                for of in (("--ledger", str(bench.ledger)), ("--source", clickhouse.source))
            )
            assert source == ledger, by
