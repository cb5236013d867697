"""One iteration that mixes providers comes out as exactly as one that asks Claude alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import Bench
from tokenproxy.simulator.server import Simulator

AGENT = Path(__file__).with_name("mixed_agent.py")

# DeepSeek's prices differ by the hour of the day: these do not.
PRICES = """
[[prices]]
provider = "deepseek"
model = "deepseek-v4-pro"
input_mtok = 0.5
cache_read_mtok = 0.05
output_mtok = 2
"""

# Every answer: 17,060 tokens in, of them 15,000 read from a cache; 42 out. Claude wrote 2,000 to
# a cache for five minutes and 48 for an hour, GPT 2,048; Gemini and DeepSeek state no writes.
# Dollars a million tokens: uncached, read, written (and for an hour), out.
#   Claude Opus 5.5   4.00  0.20  5.00 (8.00)  20.00
#     whole:   12*4 + 15,000*0.2 + 2,000*5 + 48*8 + 42*20 = 14,272
#     aborted after message_start, whose placeholder is 1:     13,452
#   GPT-6 Sol         2.00  0.20  2.50         10.00
#     refused once, then: 12*2 + 15,000*0.2 + 2,048*2.5 + 42*10 = 8,564
#   Gemini 3 Flash    0.50  0.05               3.00
#     2,060*0.5 + 15,000*0.05 + 42*3 = 1,906
#   DeepSeek          0.50  0.05               2.00
#     2,060*0.5 + 15,000*0.05 + 42*2 = 1,864
TABLE = [
    # provider, model, calls, failed, incomplete, input, uncached, read, written, output, dollars
    ("anthropic", "claude-opus-5-5", 2, 1, 1, 34_120, 24, 30_000, 4_096, 43, 0.027724),
    ("openai", "gpt-6-sol", 2, 1, 0, 17_060, 12, 15_000, 2_048, 42, 0.008564),
    ("google", "gemini-3-flash-preview", 1, 0, 0, 17_060, 2_060, 15_000, None, 42, 0.001906),
    ("deepseek", "deepseek-v4-pro", 1, 0, 0, 17_060, 2_060, 15_000, None, 42, 0.001864),
]
COLUMNS = (
    "provider", "model", "calls", "failed", "incomplete", "input_tokens",
    "uncached_input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "output_tokens", "cost_usd",
)  # fmt: skip


def test_four_providers_in_one_iteration(bench: Bench) -> None:
    (bench.root / "config.toml").write_text(PRICES)
    with Simulator("slow") as claude, Simulator("rate-limited-once") as rest:
        run = bench.tokenproxy(
            "run",
            *("--mode", "forward"),
            *("--route", f"api.anthropic.com={claude.url}"),
            *("--route", f"api.openai.com={rest.url}"),
            *("--route", f"generativelanguage.googleapis.com={rest.url}"),
            *("--route", f"api.deepseek.com={rest.url}/deepseek"),
            *("--", sys.executable, str(AGENT)),
            env={"TOKENPROXY_CONFIG": str(bench.root / "config.toml")},
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.split() == [b"200", b"200", b"429", b"200", b"200", b"200"]
    rows = bench.rows()
    assert [row["outcome"] for row in rows] == [
        "complete", "aborted", "error", "complete", "complete", "complete",
    ]  # fmt: skip
    assert [row.get("retry_of") for row in rows] == [
        None,
        None,
        None,
        rows[2]["call_id"],
        None,
        None,
    ]
    report = bench.tokenproxy("report", "--by", "provider", "--by", "model", "--json")
    made: dict[str, Any] = json.loads(report.stdout)
    found = {(row["provider"], row["model"]): row for row in made["rows"]}
    assert len(found) == len(TABLE)
    for line in TABLE:
        *counts, cost = line
        row = found[line[:2]]
        assert [row[name] for name in COLUMNS[:-1]] == counts
        assert row["cost_usd"] == pytest.approx(cost, abs=1e-12)
    assert made["total"]["cost_usd"] == pytest.approx(sum(line[-1] for line in TABLE), abs=1e-12)
    assert (made["total"]["input_tokens"], made["total"]["output_tokens"]) == (85_300, 169)
