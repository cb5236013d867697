"""No proxy: what the others are measured by."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.peer import Way
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, Upstream


class Direct:
    name = "direct"

    def start(self, upstream: Upstream, work: Path) -> None:  # noqa: ARG002 - the protocol's
        self._upstream = upstream

    def version(self) -> dict[str, str]:
        return {}

    def way(self, scenario: Scenario) -> Way | None:
        ports = self._upstream.ports
        if scenario.tls:
            return Way(pids=(), addr=f"127.0.0.1:{ports.https}", ca=self._upstream.ca)
        return Way(pids=(), addr=f"127.0.0.1:{ports.http}")

    def settle(self, scenario: Scenario, load: Load) -> None:
        pass

    def stop(self) -> None:
        pass
