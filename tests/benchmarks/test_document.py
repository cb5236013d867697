"""docs/performance.md says what the kept run says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.soak.report import Soak, faults_of, table

ROOT = Path(__file__).parents[2]


def test_the_documents_figures_are_the_kept_runs() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--from", "benchmarks/results/reference.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "### Bars" in printed
    assert printed.strip() in (ROOT / "docs" / "performance.md").read_text()


def test_the_documents_soak_is_the_kept_one() -> None:
    kept = msgspec.json.decode((ROOT / "benchmarks/results/soak.json").read_bytes(), type=Soak)
    assert faults_of(kept) == []
    assert table(kept) in (ROOT / "docs" / "reliability.md").read_text()
