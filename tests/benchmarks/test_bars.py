from __future__ import annotations

from typing import Any

from benchmarks.bars import Bar, bars
from benchmarks.memory import Memory
from benchmarks.results import Results
from benchmarks.startup import Start
from tests.benchmarks.samples import results, sample


def bar(found: Results, text: str) -> Bar:
    return next(bar for bar in bars(found) if bar.text.startswith(text))


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = bars(results())
    assert found
    assert {bar.met for bar in found} == {None}


def test_throughput_is_held_against_the_peers() -> None:
    found = results(sample("nginx", 100), sample("mitmdump", 25), sample("tokenproxy", 95))
    assert bar(found, "SSE, 16 streams, as a part of nginx'").met is True
    assert bar(found, "SSE, 16 streams, of stock mitmdump's").met is False


def test_a_bar_is_met_by_what_is_just_enough() -> None:
    found = results(sample("mitmdump", 25), sample("tokenproxy", 100))
    assert bar(found, "SSE, 16 streams, of stock mitmdump's").met is True


def test_costs_are_held_against_nginx_and_the_direct_way() -> None:
    everyday: dict[str, Any] = {"scenario": "everyday", "streams": 64}
    found = results(
        sample("direct", **everyday, delay_p50_ms=0.1),
        sample("nginx", **everyday, cpu_s_per_1000=0.016),
        sample("tokenproxy", **everyday, cpu_s_per_1000=0.097, delay_p50_ms=0.39),
    )
    assert bar(found, "64 streams at 50 chunks/s: processor").met is False
    assert bar(found, "added delay of a chunk").met is True


def test_memory_must_be_small_and_stay_so() -> None:
    looks = [Memory(calls=0, rss_mb=80), Memory(calls=10_000, rss_mb=100)]
    leak = Memory(calls=20_000, rss_mb=120)
    assert bar(results(memory=looks), "memory after 10,000").met is True
    assert bar(results(memory=looks), "memory after further").met is None
    assert bar(results(memory=[*looks, leak]), "memory after further").met is False


def test_starts_are_those_with_telemetry() -> None:
    def start(run_true_ms: float, *, telemetry: bool) -> Start:
        return Start(
            telemetry=telemetry, exec_ms=90, exit_ms=1, plain_exec_ms=1, true_ms=1,
            run_true_ms=run_true_ms,
        )  # fmt: skip

    found = results(starts=[start(900, telemetry=True), start(100, telemetry=False)])
    assert bar(found, "from the prefix' start").met is True
    assert bar(found, "`tokenproxy run -- true`").met is False
