"""docs/reliability.md shows what the kept run found."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.faults.reckoning import Outcome
from tests.faults.table import back, table

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "faults" / "reference.json"


def kept() -> list[Outcome]:
    return msgspec.json.decode(KEPT.read_bytes(), type=list[Outcome])


def test_the_documents_table_is_the_kept_runs() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    shown = text.partition("<!-- table -->\n")[2].partition("<!-- end of table -->")[0]
    assert shown.strip() == f"{table(kept())}\n\n{back(kept())}"


def test_the_kept_run_was_a_whole_one_and_sound() -> None:
    assert sum(one.kills for one in kept()) >= 2_000
    assert [one.fault for one in kept() if not one.sound] == []
