"""Results to test with, as a run would give them."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Sample
from benchmarks.results import Results


def sample(peer: str, rate: float = 1.0, **fields: Any) -> Sample:
    usual: dict[str, Any] = {"scenario": "sse", "streams": 16, "round": 0, "calls": 1}
    return Sample(peer=peer, rate=rate, **(usual | fields))


def results(*samples: Sample, **fields: Any) -> Results:
    usual: dict[str, Any] = {
        "taken": "2026-11-22 00:54 UTC",
        "revision": "abc1234",
        "machine": {
            "system": "Linux", "processor": "a processor", "cores": 2, "python": "3.13.0",
            "load_before": 0.1, "busy": False,
        },
        "settings": {"quick": False, "rounds": 2, "seconds": 1.0},
        "versions": {"nginx": "1.22.1"},
        "samples": list(samples),
        "starts": [],
        "memory": [],
        "notes": [],
    }  # fmt: skip
    return Results(**(usual | fields))
