"""Whatever dies, every call keeps exactly one row."""

from __future__ import annotations

import os
import signal

import psutil

from tests.e2e.bench import Bench, child_of, proxy_of, reverse_curl, wait_until
from tokenproxy.simulator.server import Simulator


def test_client_killed_mid_stream(bench: Bench) -> None:
    with Simulator("stall") as sim:
        run = bench.start("run", "--", *reverse_curl(), env={"ANTHROPIC_BASE_URL": sim.url})
        assert run.stdout is not None
        os.set_blocking(run.stdout.fileno(), False)
        got = b""

        def all_has_come() -> bool:
            nonlocal got
            got += run.stdout.read() or b"" if run.stdout else b""
            sent = sim.calls[0] if sim.calls else None
            return sent is not None and len(sent.chunk_sizes) == 5 and got == sent.sent

        wait_until(all_has_come, 30, "the stream did not come")
        for process in psutil.Process(run.pid).children(recursive=True):
            if process.name() == "curl":
                process.kill()
        run.communicate(timeout=20)
        (row,) = bench.rows()
        known = sim.calls[0].known
    assert known is not None
    (part,) = known.parts
    assert (row["outcome"], row["error"]) == ("aborted", "client_disconnected")
    assert row["completeness"] == "partial"
    assert row["input_tokens"] == part.all_input
    assert row["output_tokens"] == part.output
    assert row["success"] is False
    assert bench.journals() == []


def test_proxy_killed_mid_stream_is_replaced_and_the_call_is_not_lost(bench: Bench) -> None:
    """The command's next request works; the broken call has its row with what was known."""
    twice = f"{reverse_curl()[2]}; {reverse_curl()[2]}"
    with Simulator("stall") as sim:
        run = bench.start("run", "--", "sh", "-c", twice, env={"ANTHROPIC_BASE_URL": sim.url})
        proxy = proxy_of(run)
        wait_until(lambda: sim.calls and sim.calls[0].known, what="no first call")
        wait_until(lambda: _journal_has_usage(bench), what="usage was not journaled")
        proxy.kill()
        wait_until(lambda: len(sim.calls) > 1 and sim.calls[1].known, what="no second call")
        sim.stop()
        _, errors = run.communicate(timeout=20)
    rows = bench.rows()
    assert [row["outcome"] for row in rows] == ["lost", "truncated"], errors
    for row in rows:
        assert row["completeness"] == "partial"
        assert row["input_tokens"] == 17_060
        assert row["success"] is False
    assert len({row["call_id"] for row in rows}) == 2
    assert bench.journals() == []


def test_proxy_and_launcher_killed_the_next_start_closes_the_journal(bench: Bench) -> None:
    with Simulator("stall") as sim:
        run = bench.start("run", "--", *reverse_curl(), env={"ANTHROPIC_BASE_URL": sim.url})
        proxy = proxy_of(run)
        wait_until(lambda: sim.calls and sim.calls[0].known, what="no call")
        wait_until(lambda: _journal_has_usage(bench), what="usage was not journaled")
        run.kill()
        proxy.kill()
        run.communicate(timeout=10)
    assert bench.rows() == []
    assert len(bench.journals()) == 1
    assert bench.tokenproxy("run", "--", "true").returncode == 0
    (row,) = bench.rows()
    assert (row["outcome"], row["completeness"]) == ("lost", "partial")
    assert row["input_tokens"] == 17_060
    assert bench.journals() == []
    assert list((bench.state / "runs").iterdir()) == [], "the dead run's directory is gone too"
    assert bench.tokenproxy("ledger", "recover").returncode == 0
    assert len(bench.rows()) == 1


def test_a_killed_launcher_leaves_command_and_account_alone(bench: Bench) -> None:
    """The command goes on through the proxy, which settles the account by itself."""
    go = bench.work / "go"
    line = f"until [ -e {go} ]; do sleep 0.05; done; {reverse_curl()[2]} > {bench.work}/out"
    with Simulator("plain") as sim:
        run = bench.start("run", "--", "sh", "-c", line, env={"ANTHROPIC_BASE_URL": sim.url})
        proxy = proxy_of(run)
        child_of(run, lambda line: line.startswith("sh -c until"))
        # It waits for the command's end once it has told the proxy of the command.
        launcher = psutil.Process(run.pid)
        wait_until(lambda: launcher.status() == psutil.STATUS_SLEEPING)
        os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=10)
        go.touch()
        run.communicate(timeout=20)
        wait_until(lambda: sim.calls, what="the command's call did not come")
        proxy.wait(timeout=15)
        assert (bench.work / "out").read_bytes() == bytes(sim.calls[0].sent)
    (row,) = bench.rows()
    assert row["outcome"] == "complete"


def _journal_has_usage(bench: Bench) -> bool:
    return any(b"cache_read" in path.read_bytes() for path in bench.journals())
