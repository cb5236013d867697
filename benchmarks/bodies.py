"""What large requests leave in memory: ``python -m benchmarks.bodies``.

One gateway takes 1 MB requests of 16 and then of 128 clients, each as fast as it can. Printed is
what its worker has resident after each, when all is in the ledger, and had at most.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import psutil

from benchmarks.cache import cache
from benchmarks.peers.peer import Way
from benchmarks.peers.tokenproxy import Gateway, Row
from benchmarks.scenarios import SCENARIOS
from benchmarks.traffic_run import Upstream, build

SECONDS = 4.0
KB, MB = 1024, 1e6
RUNS = (("json", 16), ("body", 16), ("body", 128), ("json", 16))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        work = Path(directory).resolve()
        with Upstream(build(cache() / "bench"), work) as upstream:
            gateway = Gateway(upstream, work / "gateway", tls=False)
            try:
                for name, streams in RUNS:
                    _measure(gateway, upstream, name, streams)
            finally:
                gateway.server.stop()


def _measure(gateway: Gateway, upstream: Upstream, name: str, streams: int) -> None:
    scenario = SCENARIOS[name]
    way = Way(pids=(), addr=f"127.0.0.1:{gateway.port}", prefix="/anthropic")
    arguments = scenario.load_arguments(streams, seconds=SECONDS, warmup_s=0)
    load, _ = upstream.load([*way.arguments(scenario), *arguments])
    row = Row(upstream.ports.input_tokens, upstream.ports.output_tokens, "complete", "final")
    gateway.ledger.expect(load.all_calls, row)
    worker = psutil.Process(gateway.server.pid).children(recursive=True)[-1]
    status = Path(f"/proc/{worker.pid}/status").read_text()
    most = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(
        f"{scenario.title}, {streams} clients: {load.all_calls:,} calls;"
        f" {worker.memory_info().rss / MB:.0f} MB resident, {int(most) * KB / MB:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
