"""Short runs, one after another and side by side, write into few series."""

from __future__ import annotations

from collections.abc import Iterable

from tests.e2e.bench import Bench, reverse_curl
from tests.telemetry.receiver import OtlpReceiver, Point
from tokenproxy.simulator.server import Simulator

RUNS = 3
AT_ONCE = 2


def series(points: Iterable[Point]) -> set[tuple[object, ...]]:
    return {
        (point.resource["service.instance.id"], point.metric, *sorted(point.attributes.items()))
        for point in points
    }


def test_runs_of_a_story_share_their_series(bench: Bench) -> None:
    with Simulator("stream") as sim, OtlpReceiver() as receiver:
        env = {
            "ANTHROPIC_BASE_URL": sim.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
        }
        words = ("run", "--story", "ST-1", "--", *reverse_curl())
        told: list[set[tuple[object, ...]]] = []
        calls: int | float = 0
        while len(told) < RUNS:
            done = bench.tokenproxy(*words, env=env)
            assert done.returncode == 0, done.stderr
            before, calls = calls, receiver.total("tokenproxy.calls")
            if calls > before:  # a run waits less than a second for its collector
                told.append(series(receiver.metrics))
        assert told[0]
        assert told[-1] == told[0]

        side_by_side = [bench.start(*words, env=env) for _ in range(AT_ONCE)]
        assert [run.wait(60) for run in side_by_side] == [0] * AT_ONCE
        for run in side_by_side:
            run.communicate()
        senders = {point.resource["service.instance.id"] for point in receiver.metrics}
        assert len(senders) <= AT_ONCE
        assert len(series(receiver.metrics)) <= AT_ONCE * len(told[0])
