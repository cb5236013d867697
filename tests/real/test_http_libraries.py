"""Python's HTTP libraries in forward mode: which go through the proxy and trust the run's CA."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench
from tests.real import reported
from tokenproxy.simulator.server import Simulator


@pytest.mark.parametrize(
    "library", ["httpx", "httpx_http2", "requests", "urllib", "httplib2", "aiohttp"]
)
def test_forward(bench: Bench, library: str) -> None:
    with Simulator("plain+gzip") as sim:
        said = reported.program(
            bench, sim, "forward", {"api.openai.com": "openai"},
            ["http", "http_libraries", library],
        )  # fmt: skip
    reported.equal(bench.rows(), said)
