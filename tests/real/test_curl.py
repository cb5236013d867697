"""curl behind tokenproxy, for every provider that has a host or a base URL of its own.

The usage that a row keeps is the one in the answer that curl printed, verbatim; the row's
counts are what the provider bills.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from tests.e2e.bench import Bench, total
from tests.real import needs, reported
from tokenproxy.simulator.server import Simulator
from tokenproxy.wire.providers import PROVIDERS

MESSAGES = [{"role": "user", "content": "Say hello."}]
CHAT = {"model": "some-model", "messages": MESSAGES}
CLAUDE = {"model": "claude-opus-5-5", "max_tokens": 1024, "messages": MESSAGES}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("anthropic", "/v1/messages", CLAUDE),
    ("openai", "/chat/completions", CHAT | {"model": "gpt-6-sol"}),
    ("openai", "/responses", {"model": "gpt-6-sol", "input": "Say hello."}),
    ("google", "/v1beta/models/gemini-3-flash:generateContent", {"contents": []}),
    ("deepseek", "/chat/completions", CHAT | {"model": "deepseek-chat"}),
    ("deepseek", "/anthropic/v1/messages", CLAUDE | {"model": "deepseek-chat"}),
    ("mistral", "/v1/chat/completions", CHAT),
    ("xai", "/chat/completions", CHAT | {"model": "grok-4"}),
    ("groq", "/openai/v1/chat/completions", CHAT),
    ("openrouter", "/chat/completions", CHAT),
    ("perplexity", "/chat/completions", CHAT | {"model": "sonar"}),
    ("cohere", "/v2/chat", CHAT),
]
MODE = pytest.mark.parametrize("mode", reported.MODES)


@MODE
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_every_provider(bench: Bench, mode: str, compressed: bool) -> None:
    options = [str(needs.program("curl")), "-sS", *(["--compressed"] if compressed else [])]
    script = " && ".join(
        f"{shlex.join([*options, '-d', json.dumps(body)])} {url(name, mode)}{path} && echo"
        for name, path, body in CALLS
    )
    hosts = {PROVIDERS[name].hosts[0]: name for name, _, _ in CALLS}
    with Simulator("plain+auto" if compressed else "plain") as sim:
        done = reported.run(bench, sim, mode, hosts, ["sh", "-c", script])
        billed = sim.billed_by_provider()
    answers = reported.lines(done.stdout)
    rows = bench.rows()
    assert len(answers) == len(rows) == len(CALLS)
    for row, answer, (name, _, _) in zip(rows, answers, CALLS, strict=True):
        assert row["usage"] == [answer.get("usage") or answer["usageMetadata"]]
        reported.same([row], success=True, completeness="final", provider=PROVIDERS[name].name)
    for (provider, _), tokens in billed.items():
        own = [row for row in rows if row["provider"] == provider]
        assert total(own, "input_tokens") == tokens.all_input
        assert total(own, "output_tokens") == tokens.output


def url(name: str, mode: str) -> str:
    provider = PROVIDERS[name]
    return f'"${provider.base_url_env}"' if mode == "reverse" else provider.base_url


def test_http_2(bench: Bench) -> None:
    """The proxy speaks the protocol that the client prefers."""
    words = ["-sS", "-w", "%{http_version}", "-o", "/dev/null", "-d", json.dumps(CLAUDE)]
    with Simulator("plain") as sim:
        done = reported.run(
            bench, sim, "forward", {"api.anthropic.com": "anthropic"},
            [str(needs.program("curl")), *words, "https://api.anthropic.com/v1/messages"],
        )  # fmt: skip
    assert done.stdout == b"2"
    (row,) = bench.rows()
    assert row["client"].startswith("curl/")
    assert row["output_tokens"] == 42


def test_an_unknown_path_of_a_known_host_passes_and_is_no_call(bench: Bench) -> None:
    with Simulator("plain") as sim:
        done = reported.run(
            bench, sim, "forward", {"api.openai.com": "openai"},
            [str(needs.program("curl")), "-sS", "https://api.openai.com/v1/models"],
        )  # fmt: skip
    assert json.loads(done.stdout)["object"] == "list"
    assert bench.rows() == []
