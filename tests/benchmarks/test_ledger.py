"""What the bench asks of tokenproxy's ledger before it believes a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.tokenproxy import Ledger, Row
from benchmarks.traffic_run import TrafficError

GOOD = b'{"input_tokens":7,"output_tokens":5,"outcome":"complete","completeness":"final","x":1}\n'
WANTED = Row(input_tokens=7, output_tokens=5, outcome="complete", completeness="final")


def test_each_call_must_have_its_row(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.expect(0, WANTED)
    path.write_bytes(GOOD * 2 + GOOD[:20])  # the third is being written
    ledger.expect(2, WANTED)
    path.write_bytes(GOOD * 3)
    ledger.expect(1, WANTED)
    with pytest.raises(TrafficError, match="1 calls left 0 rows"):
        ledger.expect(1, WANTED, timeout_s=0.05)


def test_a_row_too_many_is_no_proof(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(GOOD * 2)
    with pytest.raises(TrafficError, match="1 calls left 2 rows"):
        Ledger(path).expect(1, WANTED)


def test_a_wrong_count_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(GOOD.replace(b":5", b":6"))
    with pytest.raises(TrafficError, match="output_tokens=6"):
        Ledger(path).expect(1, WANTED)
