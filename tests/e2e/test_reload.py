"""A gateway whose workers are replaced under its clients."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.bench import Bench, curl, wait_until
from tests.e2e.test_serve import serving
from tokenproxy.simulator.server import Simulator


def workers(gateway: subprocess.Popen[bytes]) -> set[int]:
    return {child.pid for child in psutil.Process(gateway.pid).children()}


def said(gateway: subprocess.Popen[bytes], words: str) -> None:
    assert gateway.stderr is not None
    for line in gateway.stderr:
        if words in line.decode():
            return
    raise AssertionError(words)


@pytest.mark.parametrize("count", ["1", "2"])
def test_no_request_is_refused_and_none_is_cut(bench: Bench, count: str) -> None:
    words = ("--listen", "127.0.0.1:0", "--workers", count)
    failed: list[bytes] = []
    asked = 0
    over = threading.Event()

    def ask(url: str) -> None:
        nonlocal asked
        while not over.is_set():
            done = subprocess.run(curl(url), capture_output=True, check=False, timeout=30)
            asked += 1
            if done.returncode or b"message_stop" not in done.stdout:
                failed.append(done.stdout + done.stderr)

    with Simulator("stream") as sim, serving(bench, sim, *words) as (gateway, url, _):
        asking = [threading.Thread(target=ask, args=(f"{url}/v1/messages",)) for _ in range(3)]
        for thread in asking:
            thread.start()
        for _ in range(3):
            before = workers(gateway)
            gateway.send_signal(signal.SIGHUP)
            said(gateway, "reloaded")
            wait_until(lambda before=before: not workers(gateway) & before, 30)  # type: ignore[misc] # the loop's value
            assert len(workers(gateway)) == int(count)
        over.set()
        for thread in asking:
            thread.join()
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
        assert gateway.stderr is not None
        summary = gateway.stderr.read().decode()
    assert failed == []
    rows = bench.rows()
    assert len(rows) == asked == len(sim.calls)
    assert {row["outcome"] for row in rows} == {"complete"}
    assert f"{len(rows)} calls" in summary, "those of all that served"
    assert not list((bench.state / "runs").iterdir())


def test_a_call_that_is_open_is_answered_to_its_end(bench: Bench) -> None:
    with Simulator("slow") as sim, serving(bench, sim) as (gateway, url, _):
        (old,) = workers(gateway)
        client = subprocess.Popen(curl(f"{url}/v1/messages"), stdout=subprocess.PIPE)
        sim.wait_for(lambda s: bool(s.calls))
        idle = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)
        idle.sendall(b"GET /anthropic/v1/models HTTP/1.1\r\nhost: h\r\n\r\n")
        assert idle.recv(65536)
        gateway.send_signal(signal.SIGHUP)
        said(gateway, "reloaded")
        while idle.recv(65536):
            pass  # a connection that asks for nothing more is closed
        out, _ = client.communicate(timeout=30)
        assert out == bytes(sim.calls[0].sent)
        wait_until(lambda: old not in workers(gateway), 30)
    (row,) = bench.rows()
    assert row["outcome"] == "complete"


def test_the_token_is_read_anew(bench: Bench) -> None:
    file = bench.root / "token"
    file.write_text("the-first-of-two-tokens")
    words = ("--listen", "127.0.0.1:0", "--token-file", str(file))
    with Simulator("plain") as sim, serving(bench, sim, *words) as (gateway, url, _):

        def works(token: str) -> bool:
            ask = curl(f"{url}/~{token}/v1/messages")
            return b"msg_" in subprocess.run(ask, capture_output=True, check=True).stdout

        assert works("the-first-of-two-tokens")
        file.write_text("bad")
        gateway.send_signal(signal.SIGHUP)
        said(gateway, "not reloaded")
        assert works("the-first-of-two-tokens")
        file.write_text("the-second-of-two-tokens")
        gateway.send_signal(signal.SIGHUP)
        said(gateway, "reloaded")
        # The old worker may still have accepted the next connection.
        wait_until(lambda: works("the-second-of-two-tokens"))
        assert not works("the-first-of-two-tokens")


def test_workers_that_do_not_come_up_replace_nobody(bench: Bench, tmp_path: Path) -> None:
    """An upgrade that went wrong, say."""
    shadow = tmp_path / "shadow"
    broken = shadow / "msgspec"
    shadow.mkdir()
    env = {"PYTHONPATH": f"{shadow}:{bench.env['PYTHONPATH']}"}
    bench.env |= env
    with Simulator("plain") as sim, serving(bench, sim) as (gateway, url, _):
        before = workers(gateway)
        broken.mkdir()
        (broken / "__init__.py").write_text("raise ImportError('half an upgrade')")
        gateway.send_signal(signal.SIGHUP)
        said(gateway, "half an upgrade")
        time.sleep(0.2)
        assert workers(gateway) == before
        done = subprocess.run(curl(f"{url}/v1/messages"), capture_output=True, check=True)
        assert b"msg_" in done.stdout


def test_a_worker_that_is_killed_is_replaced(bench: Bench) -> None:
    with Simulator("plain") as sim, serving(bench, sim) as (gateway, url, _):
        (old,) = workers(gateway)
        psutil.Process(old).kill()
        ask = [*curl(f"{url}/v1/messages"), "--retry", "3", "--retry-all-errors"]
        done = subprocess.run(ask, capture_output=True, check=True, timeout=30)
        assert b"msg_" in done.stdout
        assert old not in workers(gateway)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
    assert len(bench.rows()) == 1


def test_reloads_that_come_faster_than_workers(bench: Bench) -> None:
    with Simulator("plain") as sim, serving(bench, sim) as (gateway, url, _):
        for _ in range(12):
            gateway.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        said(gateway, "reloaded")
        wait_until(lambda: len(workers(gateway)) == 1, 30)
        for _ in range(3):
            done = subprocess.run(curl(f"{url}/v1/messages"), capture_output=True, check=True)
            assert b"msg_" in done.stdout
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
    assert len(bench.rows()) == 3
    assert not list((bench.state / "runs").iterdir())


def test_a_worker_whose_gateway_was_killed_settles_its_account(bench: Bench) -> None:
    with Simulator("stall") as sim, serving(bench, sim) as (gateway, url, _):
        (worker,) = psutil.Process(gateway.pid).children()
        client = subprocess.Popen(curl(f"{url}/v1/messages"), stdout=subprocess.DEVNULL)
        sim.wait_for(lambda s: bool(s.calls and s.calls[0].known))
        gateway.kill()
        client.wait(timeout=30)
        worker.wait(timeout=30)
    (row,) = bench.rows()
    assert (row["outcome"], row["completeness"]) == ("lost", "partial")
