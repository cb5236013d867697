"""SDKs of Mistral, Cohere and Ollama behind tokenproxy."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench
from tests.real import reported
from tokenproxy.simulator.server import Simulator


def test_mistral(bench: Bench) -> None:
    """It reads no base URL from its environment."""
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, "forward", {"api.mistral.ai": "mistral"},
            ["mistral", "other_sdks", "mistral"],
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), provider="mistral_ai", success=True)


@pytest.mark.parametrize("mode", reported.MODES)
def test_cohere(bench: Bench, mode: str) -> None:
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, mode, {"api.cohere.com": "cohere"}, ["cohere", "other_sdks", "cohere"]
        )
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), provider="cohere", success=True)


@pytest.mark.parametrize("mode", ["reverse", "auto"])
def test_ollama(bench: Bench, mode: str) -> None:
    """A server of the user's own, over plain http."""
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, mode, {}, ["ollama", "other_sdks", "ollama"],
            OLLAMA_HOST=f"{sim.url}/ollama",
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), provider="ollama", success=True)
