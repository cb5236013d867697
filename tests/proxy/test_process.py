"""The proxy process by itself: its line, its socket, its end."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.bench import BODY
from tokenproxy.config import IterationEnd, ProxyConfig, RunContext
from tokenproxy.proxy.process import serve
from tokenproxy.record.sink import Sink
from tokenproxy.simulator.server import Simulator
from tokenproxy.telemetry import pipeline


class Line:
    """The launcher's end of the control line."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, port: int) -> None:
        self.process, self.port = process, port
        self._sock, self._file = sock, sock.makefile("rb")

    def send(self, message: Any) -> None:
        self._sock.sendall(msgspec.json.encode(message) + b"\n")

    def answer(self) -> dict[str, Any]:
        self._sock.settimeout(15)
        line: dict[str, Any] = json.loads(self._file.readline())
        return line

    def hang_up(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)

    def call(self) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        client.request("POST", "/v1/messages", json.dumps(BODY))
        answer = client.getresponse()
        answer.read()
        return answer.status


@contextmanager
def process(root: Path, url: str, **over: Any) -> Iterator[Line]:
    ours, theirs = socket.socketpair()
    run_dir = root / "runs" / "r"
    run_dir.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, theirs, ours:
        fds = (listener.fileno(), theirs.fileno())
        child = subprocess.Popen(
            [sys.executable, "-m", "tokenproxy.proxy", "--control-fd", str(fds[1])],
            pass_fds=fds,
        )
        config = ProxyConfig(
            run=RunContext(run_id="r", trace_id="1" * 32, span_id="2" * 16, started_ns=1),
            ledger=str(root / "ledger.jsonl"),
            run_dir=str(run_dir),
            listen_fd=fds[0],
            routes={"api.anthropic.com": url},
        )
        line = Line(child, ours, listener.getsockname()[1])
        line.send(msgspec.structs.replace(config, **over))
        try:
            yield line
        finally:
            child.kill()
            child.wait()


def rows(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "ledger.jsonl").read_text().splitlines()]


def test_ready_finish_summary(tmp_path: Path) -> None:
    with Simulator("plain") as sim, process(tmp_path, sim.url) as line:
        assert line.answer() == {"ready": True}
        assert line.call() == 200
        line.send({"finish": IterationEnd(ended_ns=time.time_ns(), exit_status=0)})
        assert line.answer()["summary"]["calls"] == 1
        assert line.process.wait(5) == 0
    assert len(rows(tmp_path)) == 1


def test_sigterm_settles_the_account(tmp_path: Path) -> None:
    with Simulator("plain") as sim, process(tmp_path, sim.url) as line:
        line.answer()
        line.call()
        line.process.send_signal(signal.SIGTERM)
        assert line.answer()["summary"]["calls"] == 1
        assert line.process.wait(5) == 0
    assert len(rows(tmp_path)) == 1


def test_without_a_launcher_it_serves_until_the_command_is_gone(tmp_path: Path) -> None:
    with Simulator("plain") as sim, process(tmp_path, sim.url) as line:
        line.answer()
        command = subprocess.Popen(["sleep", "60"])
        line.send({"child": command.pid})
        line.hang_up()
        time.sleep(0.7)
        assert line.call() == 200
        command.kill()
        command.wait()
        assert line.process.wait(5) == 0
    assert len(rows(tmp_path)) == 1


def test_without_a_launcher_and_a_command_it_ends(tmp_path: Path) -> None:
    with process(tmp_path, "http://127.0.0.1:9") as line:
        line.answer()
        line.hang_up()
        assert line.process.wait(5) == 0


def test_orders_that_cannot_be_carried_out_are_said(tmp_path: Path) -> None:
    with process(tmp_path, "http://127.0.0.1:9", routes={"h": "nonsense"}) as line:
        assert "nonsense" in line.answer()["fatal"]
        assert line.process.wait(5) == 1


def test_garbage_is_collected_once_it_serves(tmp_path: Path) -> None:
    """Turned off for the imports, it must not stay so for a run of hours."""

    async def collected() -> IterationEnd | None:
        for _ in range(3000):
            if gc.isenabled():
                return None
            await asyncio.sleep(0.01)
        raise TimeoutError

    (tmp_path / "runs" / "r").mkdir(parents=True)
    gc.disable()
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = ProxyConfig(
                run=RunContext(run_id="r", trace_id="1" * 32, span_id="2" * 16, started_ns=1),
                ledger=str(tmp_path / "ledger.jsonl"),
                run_dir=str(tmp_path / "runs" / "r"),
                listen_fd=listener.fileno(),
            )
            asyncio.run(
                serve(
                    config, listener, ready=lambda: None, ended=collected(), retire=asyncio.Event()
                )
            )
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.parametrize("lives", [True, False], ids=["while it serves", "at its end"])
def test_telemetry_is_opened_once_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    """Connections need not wait for it; and a short run's end does not miss it."""
    steps: list[str] = []
    is_open = threading.Event()

    class Told(Sink):
        def finish(self, _: IterationEnd | None) -> tuple[str, ...]:
            steps.append("finished")
            return ()

    def opened(*_: object, **__: object) -> Sink:
        steps.append("opened")
        is_open.set()
        return Told()  # type: ignore[abstract] # it is told of its end alone

    async def ended() -> IterationEnd | None:
        steps.append("ended")
        if lives:
            await asyncio.to_thread(is_open.wait, 10)
        return None

    monkeypatch.setattr(pipeline, "open_telemetry", opened)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "runs" / "r").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = ProxyConfig(
            run=RunContext(run_id="r", trace_id="1" * 32, span_id="2" * 16, started_ns=1),
            ledger=str(tmp_path / "ledger.jsonl"),
            run_dir=str(tmp_path / "runs" / "r"),
            listen_fd=listener.fileno(),
        )
        ready = lambda: steps.append("ready")  # noqa: E731 - that is all of it
        asyncio.run(serve(config, listener, ready=ready, ended=ended(), retire=asyncio.Event()))
    assert steps == ["ready", "ended", "opened", "finished"]


@pytest.mark.parametrize("arguments", [[], ["--control-fd"], ["--help", "x"]])
def test_by_hand_it_says_who_starts_it(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tokenproxy.proxy", *arguments], capture_output=True, check=False
    )
    assert run.returncode == 2
    assert b"tokenproxy run" in run.stderr
