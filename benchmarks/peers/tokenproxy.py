"""tokenproxy as its users run it: parsing, ledger and telemetry on."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import msgspec

from benchmarks.peers.peer import Way
from benchmarks.processes import Server, Unavailable, free_port
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, TrafficError, Upstream

RECORDED_S = 60.0
"""Rows may lag behind a load, which is faster than any model; by this much at most."""


class Row(msgspec.Struct):
    """What is checked of a ledger row."""

    input_tokens: int
    output_tokens: int
    outcome: str
    completeness: str


ROW = msgspec.json.Decoder(Row)


def program() -> str:
    """The command of this Python's environment.

    Raises:
        Unavailable: It is not there.
    """
    found = shutil.which("tokenproxy", path=str(Path(sys.executable).parent))
    if found is None:
        raise Unavailable("tokenproxy is not beside this Python: make install")
    return found


def environment(upstream: Upstream, work: Path) -> dict[str, str]:
    """Of a user with a collector, in a directory of its own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "TOKENPROXY_STATE_DIR": str(work / "state"),
        "TOKENPROXY_LEDGER": str(work / "ledger.jsonl"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": upstream.url(tls=False),
    }


class Ledger:
    """The rows that a gateway has appended since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new_rows(self) -> list[Row]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [ROW.decode(line) for line in whole.splitlines()]

    def expect(self, calls: int, wanted: Row, timeout_s: float = RECORDED_S) -> None:
        """Wait for a row a call, each as ``wanted``.

        Raises:
            TrafficError: Rows are missing, too many or wrong.
        """
        rows: list[Row] = []
        deadline = time.monotonic() + timeout_s
        while True:
            rows += self.new_rows()
            if len(rows) >= calls or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        wrong = [row for row in rows if row != wanted]
        if len(rows) != calls or wrong:
            raise TrafficError(
                f"{calls} calls left {len(rows)} rows in the ledger"
                + (f", and one of them is {wrong[0]}" if wrong else "")
            )


def authority(state: Path, timeout_s: float = 10.0) -> Path:
    """A gateway's CA in its state directory: made when it listens already."""
    deadline = time.monotonic() + timeout_s
    while not (found := next(state.glob("gateway-ca/*/ca.pem"), None)):
        if time.monotonic() > deadline:
            raise TrafficError(f"{state} has no CA")
        time.sleep(0.02)
    return found


class Gateway:
    """One ``tokenproxy serve``."""

    def __init__(
        self, upstream: Upstream, work: Path, *, tls: bool, options: Sequence[str] = ()
    ) -> None:
        work.mkdir()
        self.port = free_port()
        self.ledger = Ledger(work / "ledger.jsonl")
        self._state = work / "state"
        env = environment(upstream, work)
        env["SSL_CERT_FILE"] = str(upstream.ca)
        url = upstream.url(tls=tls)
        command = [
            program(), "serve", "--listen", f"127.0.0.1:{self.port}",
            "--route", f"api.anthropic.com={url}", "--route", f"api.openai.com={url}",
            *options,
        ]  # fmt: skip
        self.server = Server("tokenproxy", command, work=work, env=env)
        self.server.wait_for_port(self.port)

    @property
    def ca(self) -> Path:
        return authority(self._state)


class Tokenproxy:
    name = "tokenproxy"
    options: tuple[str, ...] = ()
    """Of ``tokenproxy serve``."""

    def __init__(self) -> None:
        self._gateways: dict[bool, Gateway] = {}

    def start(self, upstream: Upstream, work: Path) -> None:
        self._wanted = Row(
            input_tokens=upstream.ports.input_tokens,
            output_tokens=upstream.ports.output_tokens,
            outcome="complete",
            completeness="final",
        )
        for tls in (False, True):
            place = work / f"{self.name}{'-tls' if tls else ''}"
            self._gateways[tls] = Gateway(upstream, place, tls=tls, options=self.options)

    def version(self) -> dict[str, str]:
        return {self.name: metadata.version("tokenproxy")}

    def way(self, scenario: Scenario) -> Way | None:
        gateway = self._gateways[scenario.tls]
        pids = (gateway.server.pid,)
        if scenario.tls:
            return Way(
                pids=pids,
                addr="api.anthropic.com:443",
                proxy=f"127.0.0.1:{gateway.port}",
                ca=gateway.ca,
            )
        prefix = "/openai" if scenario.socket else "/anthropic"
        return Way(pids=pids, addr=f"127.0.0.1:{gateway.port}", prefix=prefix)

    def settle(self, scenario: Scenario, load: Load) -> None:
        self._gateways[scenario.tls].ledger.expect(load.all_calls, self._wanted)

    def stop(self) -> None:
        for gateway in self._gateways.values():
            gateway.server.stop()


class Workers(Tokenproxy):
    """The same with two worker processes. Not measured unless named."""

    name = "workers"
    options = ("--workers", "2")
