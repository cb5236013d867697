"""What a real ``tokenproxy run`` sends, over real OTLP, with the ledger beside it."""

from __future__ import annotations

import fcntl
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from tests.e2e import every_wire
from tests.e2e.bench import Bench, Row
from tests.telemetry.conformance import operations
from tests.telemetry.conformance.conditions import Evidence
from tests.telemetry.receiver import OtlpReceiver, Point, Span
from tokenproxy.simulator.server import Simulator

PROTOCOLS: dict[str, Literal["http", "grpc"]] = {"1.41": "http", "genai-main": "grpc"}
"""Each dialect over another transport."""
TIMEOUT_S = 120
ATTEMPTS = 3
RUNS = 2


@dataclass
class Capture:
    """All that was sent."""

    dialect: str
    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def evidence(self) -> list[Evidence]:
        """Each span with its row, and what its request asked for."""
        rows = {row["span_id"]: row for row in self.rows}
        return [self._evidence(span, rows.get(span.span_id)) for span in self.spans]

    @staticmethod
    def _evidence(span: Span, row: Row | None) -> Evidence:
        name = (row or {}).get("client_request_id", "")
        return Evidence(span, row, operations.asked(name), operations.streaming(name))

    def calls(self) -> list[Span]:
        """The spans of calls."""
        return [s for s in self.spans if s.attributes.get("tokenproxy.span.role") == "call"]


def capture(dialect: str, root: Path) -> Capture:
    """Run everything once, and a command that makes no call and fails.

    A run waits less than a second for its collector at the end: if a slow machine loses
    something there, all of it is done once more.
    """
    for attempt in range(ATTEMPTS):
        place = root / str(attempt)
        place.mkdir()
        made = _capture(dialect, place)
        if made is not None:
            return made
    raise AssertionError("some of the telemetry was lost, every time")


def _capture(dialect: str, root: Path) -> Capture | None:
    """What was sent; None if not all of it arrived."""
    bench = Bench(root)
    script = root / "operations.json"
    script.write_bytes(msgspec.json.encode(operations.operations()))
    with Simulator(operations.scenario()) as sim, OtlpReceiver(PROTOCOLS[dialect]) as receiver:
        ways = [word for way in every_wire.routes(sim.url) for word in ("--route", way)]
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": (
                "grpc" if PROTOCOLS[dialect] == "grpc" else "http/protobuf"
            ),
            # Nothing is to be lost to a slow machine: the conventions are tested, not the queue.
            "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
            "OTEL_SEMCONV_STABILITY_OPT_IN": (
                "" if dialect == "1.41" else "gen_ai_latest_experimental"
            ),
        }
        words = ["--mode", "forward", *ways, "--story", "ST-1", "--iteration", "3",
                 "--complexity", "5", "--label", "team=blue"]  # fmt: skip
        agent = [sys.executable, "-m", "tests.telemetry.conformance.agent", str(script)]
        done = bench.tokenproxy("run", *words, "--", *agent, env=env, timeout_s=TIMEOUT_S)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        failed = bench.tokenproxy("run", "--", "false", env=env, timeout_s=TIMEOUT_S)
        assert failed.returncode == 1, failed.stderr.decode()[-2000:]
        rows = bench.rows()
        told = {span.span_id for span in receiver.spans}
        roles = [span.attributes["tokenproxy.span.role"] for span in receiver.spans]
        whole = {row["span_id"] for row in rows} <= told and roles.count("iteration") == RUNS
        if not whole or receiver.total("tokenproxy.iterations") != RUNS:
            return None
        return Capture(dialect, list(receiver.spans), list(receiver.metrics), rows)


def once(dialect: str, base: Path) -> Capture:
    """The capture, made by whichever test process comes first and read by the others."""
    base.mkdir(parents=True, exist_ok=True)
    kept = base / f"{dialect}.pickle"
    with (base / f"{dialect}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            root = base / dialect
            root.mkdir()
            made = capture(dialect, root)
            whole = kept.with_suffix(".new")
            whole.write_bytes(pickle.dumps(made))
            whole.rename(kept)
        loaded: Any = pickle.loads(kept.read_bytes())  # noqa: S301 - we wrote it
        assert isinstance(loaded, Capture)
        return loaded
