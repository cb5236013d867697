"""docs/performance.md says what the kept run says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
