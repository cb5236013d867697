"""The google-genai SDK behind tokenproxy."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench
from tests.real import reported
from tokenproxy.simulator.server import Simulator

CALLS = ("generate", "stream", "asynchronous", "embed", "count")
MODE = pytest.mark.parametrize("mode", reported.MODES)


@MODE
@pytest.mark.parametrize("delivery", ["plain", "stream+gzip+random:7"])
def test_gemini(bench: Bench, mode: str, delivery: str) -> None:
    with Simulator(delivery) as sim:
        said = reported.program(
            bench, sim, mode, {"generativelanguage.googleapis.com": "google"},
            ["google", "google_sdk", "gemini", *CALLS],
            GEMINI_API_KEY="test",
        )  # fmt: skip
    rows = bench.rows()
    reported.equal(rows, said)
    reported.same(rows, provider="google", success=True, outcome="complete")
    assert [row["stream"] for row in rows] == [False, True, False, True, False]
    assert all(row["cache_read_input_tokens"] == 15_000 for row in rows[:4])


@MODE
def test_vertex(bench: Bench, mode: str) -> None:
    """In reverse mode it is seen where the user's own base URL was named."""
    with Simulator("stream") as sim:
        place = {"GOOGLE_VERTEX_BASE_URL": f"{sim.url}/vertex"} if mode == "reverse" else {}
        said = reported.program(
            bench, sim, mode, {"aiplatform.googleapis.com": "vertex"},
            ["google", "google_sdk", "vertex", "generate", "stream"],
            GOOGLE_API_KEY="test", **place,
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), provider="gcp.vertex_ai", success=True)


def test_reverse_leaves_vertex_alone(bench: Bench) -> None:
    """With a base URL from its environment the SDK would send every call to that URL itself."""
    done = bench.tokenproxy(
        "run", "--mode", "reverse", "--", "sh", "-c", 'echo "${GOOGLE_VERTEX_BASE_URL-unset}"'
    )
    assert done.stdout == b"unset\n"
