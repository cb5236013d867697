"""The run's own line, the tree and the report call the same calls incomplete."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec

from tests.insight.rows import Row, failed, write
from tokenproxy.insight.query import open_ledger
from tokenproxy.insight.question import Choice, dimension
from tokenproxy.insight.report import make_report
from tokenproxy.insight.trace import read_row
from tokenproxy.record import row as record
from tokenproxy.record.tally import Tally

ROWS: list[Row] = [
    failed(f"c{number}", completeness=known, outcome=outcome, status_code=status)
    for number, (known, outcome, status) in enumerate(
        itertools.product(
            ("final", "partial", "none"),
            ("complete", "error", "aborted", "truncated", "lost"),
            (None, 101, 200, 304, 429),
        )
    )
    # Something is known only of what was answered, or of what a crash took the status of.
    if status is not None or known == "none" or outcome == "lost"
]


def test_all_agree(tmp_path: Path) -> None:
    with open_ledger([write(tmp_path / "l.jsonl", ROWS)]) as ledger:
        by_call = make_report(ledger, [dimension("outcome")], Choice(), "UTC")
    total = 0
    for made in ROWS:
        tally = Tally()
        tally.count(msgspec.convert(made, record.Row))
        tree = read_row(made)
        assert tree is not None
        assert tally.summary().incomplete == tree.incomplete, made
        total += tree.incomplete
    assert by_call.total.incomplete == total
    assert 0 < total < len(ROWS)
