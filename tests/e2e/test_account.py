"""One row a call, and the counts are the provider's."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.bench import MODEL, Bench, curl, reverse_curl, total
from tokenproxy.simulator.server import Simulator


def check_sums(rows: list[dict[str, object]], sim: Simulator) -> None:
    """The ledger's sums are what a reader of all responses can state."""
    known = sim.known().values()
    assert total(rows, "input_tokens") == sum(part.all_input for part in known)
    assert total(rows, "output_tokens") == sum(part.output for part in known)
    assert total(rows, "cache_read_input_tokens") == sum(part.cache_read for part in known)
    assert total(rows, "cache_creation_input_tokens") == sum(part.cache_write for part in known)


@pytest.mark.parametrize("stream", [True, False])
def test_reverse_the_commands_output_is_untouched_and_its_call_has_a_row(
    bench: Bench, stream: bool
) -> None:
    with Simulator("plain") as sim:
        run = bench.tokenproxy(
            "run", "--story", "s1", "--", *reverse_curl(stream=stream),
            env={"ANTHROPIC_BASE_URL": sim.url},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert run.stdout == bytes(sim.calls[0].sent)
        (row,) = bench.rows()
        check_sums([row], sim)
    assert list(row)[:8] == [
        "timestamp", "story_id", "iteration", "provider", "model", "complexity",
        "input_tokens", "output_tokens",
    ]  # fmt: skip
    assert (row["story_id"], row["iteration"], row["provider"]) == ("s1", 1, "anthropic")
    assert row["model"] == MODEL
    assert row["success"] is True
    assert row["outcome"] == "complete"
    assert row["completeness"] == "final"
    assert row["stream"] is stream
    assert row["cost_usd"] > 0
    assert row["schema"] == "tokenproxy.usage/1"
    assert b"1 call" in run.stderr


def test_forward_through_a_route(bench: Bench) -> None:
    with Simulator("stream+auto") as sim:
        run = bench.tokenproxy(
            "run", "--mode", "forward", "--route", f"api.anthropic.com={sim.url}", "--",
            *curl("https://api.anthropic.com/v1/messages?beta=true", "--compressed"),
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        check_sums(bench.rows(), sim)
        assert sim.calls[0].encoding
    (row,) = bench.rows()
    assert row["outcome"] == "complete"
    assert run.stdout.startswith(b"event: message_start")


@pytest.mark.parametrize(
    ("scenario", "outcome", "completeness", "error"),
    [
        ("error-mid-stream", "error", "partial", "overloaded_error"),
        ("cut-fin", "truncated", "partial", "upstream_disconnected"),
        ("cut-reset", "truncated", "partial", "upstream_disconnected"),
        ("cut-after-delta", "truncated", "final", "upstream_disconnected"),
        ("rate-limited", "error", "none", "rate_limit_error"),
        ("html-413", "error", "none", "request_too_large"),
        ("dropped", "error", "none", "upstream_disconnected"),
        ("malformed-json", "error", "none", "malformed_response"),
    ],
)
def test_faults_leave_an_honest_row(
    bench: Bench, scenario: str, outcome: str, completeness: str, error: str
) -> None:
    stream = "json" not in scenario
    with Simulator(scenario) as sim:
        bench.tokenproxy(
            "run", "--", *reverse_curl(stream=stream), env={"ANTHROPIC_BASE_URL": sim.url}
        )
        rows = bench.rows()
        check_sums(rows, sim)
    (row,) = rows
    assert (row["outcome"], row["completeness"], row["error"]) == (outcome, completeness, error)
    assert row["success"] is False
    assert bench.journals() == []


@pytest.mark.parametrize("scenario", ["malformed-json", "not-utf8", "malformed-stream"])
def test_malformed_bodies_pass_untouched(bench: Bench, scenario: str) -> None:
    with Simulator(scenario) as sim:
        run = bench.tokenproxy(
            "run", "--", *reverse_curl(stream="stream" in scenario),
            env={"ANTHROPIC_BASE_URL": sim.url},
        )  # fmt: skip
        assert run.returncode == 0
        assert run.stdout == bytes(sim.calls[0].sent)


def test_an_answer_without_usage_is_complete_and_says_so(bench: Bench) -> None:
    """Latin-1 in a text is no fault of the account; that no usage came is."""
    with Simulator("not-utf8") as sim:
        run = bench.tokenproxy(
            "run", "--", *reverse_curl(stream=False), env={"ANTHROPIC_BASE_URL": sim.url}
        )
    (row,) = bench.rows()
    assert (row["outcome"], row["completeness"]) == ("complete", "none")
    assert row["notes"] == ["usage_absent"]
    assert "input_tokens" not in row
    assert "cost_usd" not in row
    assert b"1 incomplete" in run.stderr


def test_overloaded_then_success_is_two_linked_rows(bench: Bench) -> None:
    twice = " && ".join([reverse_curl()[2]] * 2)
    with Simulator("overloaded") as sim:
        bench.tokenproxy("run", "--", "sh", "-c", twice, env={"ANTHROPIC_BASE_URL": sim.url})
        first, second = bench.rows()
        check_sums([first, second], sim)
    assert (first["success"], first["error"], first["status_code"]) == (
        False,
        "overloaded_error",
        529,
    )
    assert "input_tokens" not in first
    assert "cost_usd" not in first
    assert second["success"] is True
    assert second["retry_of"] == first["call_id"]
    assert second["attempt"] == 1


def test_counting_tokens_leaves_no_row(bench: Bench) -> None:
    line = "curl -sS -d '{}' $ANTHROPIC_BASE_URL/v1/messages/count_tokens"
    with Simulator("plain") as sim:
        run = bench.tokenproxy("run", "--", "sh", "-c", line, env={"ANTHROPIC_BASE_URL": sim.url})
    assert b"input_tokens" in run.stdout
    assert bench.rows() == []


def test_batch_results_are_priced_as_batch(bench: Bench) -> None:
    line = "curl -sS $ANTHROPIC_BASE_URL/v1/messages/batches/msgbatch_1/results"
    with Simulator("plain") as sim:
        bench.tokenproxy("run", "--", "sh", "-c", line, env={"ANTHROPIC_BASE_URL": sim.url})
    rows = bench.rows()
    assert [row["service_tier"] for row in rows] == ["batch", "batch"]
    assert [row["input_tokens"] for row in rows] == [5200, 2190]
    assert len({row["call_id"] for row in rows}) == 2
    assert len({row["request_id"] for row in rows}) == 1


def test_eight_runs_at_once_into_one_ledger(bench: Bench) -> None:
    each = 4
    line = " && ".join([reverse_curl()[2]] * each)
    with Simulator("plain") as sim, ThreadPoolExecutor(8) as pool:

        def one(_number: int) -> int:
            return bench.tokenproxy(
                "run", "--story", "same", "--", "sh", "-c", line,
                env={"ANTHROPIC_BASE_URL": sim.url},
            ).returncode  # fmt: skip

        assert list(pool.map(one, range(8))) == [0] * 8
        rows = bench.rows()
        check_sums(rows, sim)
    assert len(rows) == 8 * each
    assert len({row["call_id"] for row in rows}) == 8 * each
    iterations = {row["run_id"]: row["iteration"] for row in rows}
    assert sorted(iterations.values()) == list(range(1, 9))


def test_a_story_with_quotes_and_newlines_is_only_a_name(bench: Bench) -> None:
    story = 'a "quoted"\nstory\\ \N{SNOWMAN}'
    for _ in range(2):
        with Simulator("plain") as sim:
            bench.tokenproxy(
                "run", "--story", story, "--label", "team=x y", "--", *reverse_curl(),
                env={"ANTHROPIC_BASE_URL": sim.url},
            )  # fmt: skip
    rows = bench.rows()
    assert [row["story_id"] for row in rows] == [story, story]
    assert [row["iteration"] for row in rows] == [1, 2]
    assert rows[0]["labels"] == {"team": "x y"}


def test_no_secret_and_no_content_is_kept(bench: Bench) -> None:
    with Simulator("plain") as sim:
        bench.tokenproxy(
            "run", "--", *reverse_curl("-H", "x-api-key: sk-ant-CANARY"),
            env={"ANTHROPIC_BASE_URL": sim.url},
        )  # fmt: skip
        assert sim.calls[0].request.header("x-api-key") == "sk-ant-CANARY"
    kept = b"".join(path.read_bytes() for path in bench.root.rglob("*") if path.is_file())
    assert json.dumps(bench.rows())
    for secret in (b"CANARY", b"Say hello", b"Hello from the simulator"):
        assert secret not in kept


def test_the_commands_own_python_sees_a_trace_parent(bench: Bench) -> None:
    inherited = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    show = "import os; print(os.environ['TRACEPARENT'], os.environ.get('TRACESTATE'))"
    run = bench.tokenproxy(
        "run", "--", sys.executable, "-c", show,
        env={"TRACEPARENT": inherited, "TRACESTATE": "v=1"},
    )  # fmt: skip
    parent, state = run.stdout.decode().split()
    version, trace, span, flags = parent.split("-")
    assert (version, trace, flags) == ("00", "ab" * 16, "01")
    assert span != "cd" * 8
    assert state == "v=1"
