"""The real Claude CLI while the ledger's disk takes nothing."""

from __future__ import annotations

import json
import resource

import pytest

from tests.e2e.bench import Bench, proxy_of
from tests.real.test_claude_cli import GOLDEN_PROMPT, PRINT, equals_model_usage
from tokenproxy.simulator.server import Simulator

pytestmark = pytest.mark.real

EARLIER = 2_000
"""Rows: much more than the run's journal, which the limit on files holds for as well."""


def test_the_run_succeeds_and_says_what_happened(bench: Bench, claude: str) -> None:
    line = json.dumps({"timestamp": "2026-01-01T00:00:00Z", "provider": "openai", "model": "gpt"})
    bench.ledger.write_text((line + "\n") * EARLIER)
    with Simulator("agent") as sim:
        run = bench.start(
            "run", "--", claude, "-p", GOLDEN_PROMPT, *PRINT, env={"ANTHROPIC_BASE_URL": sim.url}
        )
        full = bench.ledger.stat().st_size + 100
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.prlimit(proxy_of(run).pid, resource.RLIMIT_FSIZE, (full, hard))
        out, errors = run.communicate(timeout=100)
        assert run.returncode == 0, errors
        calls = len(sim.calls)
    result = json.loads(out)
    assert result["is_error"] is False
    assert calls > 1
    assert bench.ledger.read_bytes().count(b"\n") == EARLIER
    told = [line for line in errors.decode().splitlines() if "ledger" in line]
    assert len(told) == 1, errors
    assert "File too large" in told[0]
    assert "The next start of tokenproxy appends" in told[0]
    assert bench.tokenproxy("run", "--no-summary", "--", "true").returncode == 0
    rows = bench.rows()[EARLIER:]
    assert len(rows) == calls
    assert {row["outcome"] for row in rows} == {"complete"}
    equals_model_usage(rows, result)
    assert bench.journals() == []
