"""A run whose calls go on through a gateway of the same user's: the run alone records them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import Bench, curl, reverse_curl
from tests.e2e.test_serve import serving
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

STORY = ("--story", "S-1", "--iteration", "7")
FORWARD = curl("https://api.anthropic.com/v1/messages")


def ways(url: str, ca: str) -> list[tuple[dict[str, str], list[str]]]:
    """Environments that lead to the gateway, and commands that make a call there."""
    proxy = {"HTTPS_PROXY": url, "NODE_EXTRA_CA_CERTS": ca}
    return [
        (proxy, FORWARD),
        (proxy, [*FORWARD, "--http2"]),
        (proxy, ["--mode", "reverse", "--", *reverse_curl()]),
        ({"ANTHROPIC_BASE_URL": f"{url}/anthropic"}, reverse_curl()),
        ({"ANTHROPIC_BASE_URL": url}, reverse_curl()),
        ({"ANTHROPIC_BASE_URL": f"{url}/anthropic"}, reverse_curl("-H", "Expect: 100-continue")),
    ]


def through(bench: Bench, env: dict[str, str], command: list[str]) -> None:
    options = command[: command.index("--") + 1] if "--" in command else ["--"]
    words = [*STORY, *options, *command[len(options) if "--" in command else 0 :]]
    done = bench.tokenproxy("run", *words, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert b"1 call " in done.stderr


def stop(gateway: subprocess.Popen[bytes]) -> str:
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(timeout=20) == 0
    assert gateway.stderr is not None
    return gateway.stderr.read().decode()


def test_the_run_records_and_the_gateway_stands_back(bench: Bench) -> None:
    with Simulator("stream") as sim, serving(bench, sim) as (gateway, url, ca):
        asked = ways(url, ca)
        for env, command in asked:
            through(bench, env, command)
        # Who comes to the gateway by itself is its own.
        subprocess.run(curl(f"{url}/anthropic/v1/messages"), check=True, capture_output=True)
        said = stop(gateway)
        sent = [(call.request.path, dict(call.request.headers)) for call in sim.calls]
    *runs, last = bench.rows()
    assert len(runs) == len(asked) == len(sent) - 1
    assert {(row["story_id"], row["iteration"], row["provider"]) for row in runs} == {
        ("S-1", 7, "anthropic")
    }
    assert last["story_id"] == ""
    assert all(path == "/v1/messages" for path, _ in sent)
    assert "run-" not in repr(sent), "the mark is for the gateway alone"
    assert "1 call " in said
    assert f"{len(asked)} calls are recorded by the runs" in said


def test_telemetry_tells_each_call_once(bench: Bench) -> None:
    with Simulator("stream") as sim, OtlpReceiver("http") as collector:
        bench.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        with serving(bench, sim) as (gateway, url, ca):
            for env, command in ways(url, ca)[2:4]:
                through(bench, env, command)
            stop(gateway)
        assert collector.total("tokenproxy.calls") == 2
        roles = [span.attributes["tokenproxy.span.role"] for span in collector.spans]
        servers = {span.attributes.get("server.address") for span in collector.spans} - {None}
    assert sorted(roles) == ["call", "call", "iteration", "iteration"]
    assert servers == {"api.anthropic.com"}


def test_whose_calls_the_gateway_makes_of_them_the_run_knows(bench: Bench) -> None:
    """Rows are of the provider that is asked at last: its prices hold."""
    chat = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "Hello"}]}
    words = curl("$OPENAI_BASE_URL/chat/completions", body=chat)
    line = " ".join(word if word.startswith("$") else f"'{word}'" for word in words)
    with Simulator("plain") as sim:
        route = ("--listen", "127.0.0.1:0", "--route", f"api.deepseek.com={sim.url}")
        with serving(bench, sim, *route) as (gateway, url, _):
            through(bench, {"OPENAI_BASE_URL": f"{url}/deepseek/v1"}, ["sh", "-c", line])
            stop(gateway)
    (row,) = bench.rows()
    assert (row["provider"], row["story_id"], row["outcome"]) == ("deepseek", "S-1", "complete")


def test_what_the_run_does_not_read_the_gateway_records(bench: Bench) -> None:
    """A host that only the gateway opens: the run tunnels it, so the mark must not be shown."""
    with Simulator("stream") as sim:
        words = ("--listen", "127.0.0.1:0", "--route", f"llm.example={sim.url}")
        with serving(bench, sim, *words) as (gateway, url, ca):
            env = {"HTTPS_PROXY": url, "NODE_EXTRA_CA_CERTS": ca}
            command = curl("https://llm.example/v1/messages", "--cacert", ca)
            done = bench.tokenproxy("run", *STORY, "--", *command, env=env)
            assert done.returncode == 0, done.stderr
            assert b"0 calls" in done.stderr
            assert "1 call " in stop(gateway)
    (row,) = bench.rows()
    assert (row["provider"], row["story_id"]) == ("llm.example", "")


@pytest.mark.parametrize(
    ("mark", "passes"),
    [
        ("run-", 3),
        ("run-" + "0" * 32, 4),  # of a run that began behind the gateway before this one
        ("~", 3),
        ("tokenproxy", 3),
    ],
)
def test_nobody_hides_a_call_by_a_mark_that_is_none(bench: Bench, mark: str, passes: int) -> None:
    with Simulator("stream") as sim, serving(bench, sim) as (gateway, url, ca):
        login = url.replace("//", f"//{mark}:x@")
        for words in (
            [*FORWARD, "-x", login, "--cacert", ca],
            [*FORWARD, "-x", login, "--cacert", ca, "--http2"],
            curl(f"{url}/~{mark}/anthropic/v1/messages"),
            curl(f"{url}/anthropic/v1/messages", "-H", f"Proxy-Authorization: Basic {mark}"),
        ):
            subprocess.run(words, check=True, capture_output=True, timeout=20)
        stop(gateway)
        reached = len(sim.calls)
    assert len(bench.rows()) == reached == passes


def test_another_state_directory_is_another_account(bench: Bench, tmp_path: Path) -> None:
    other: dict[str, Any] = {
        "TOKENPROXY_STATE_DIR": str(tmp_path / "elsewhere"),
        "TOKENPROXY_LEDGER": str(tmp_path / "elsewhere.jsonl"),
    }
    with Simulator("stream") as sim, serving(bench, sim) as (gateway, url, ca):
        for env, command in ways(url, ca)[2:4]:
            through(bench, {**env, **other}, command)
        assert "2 calls" in stop(gateway)
    assert len(bench.rows()) == 2
    assert len((tmp_path / "elsewhere.jsonl").read_text().splitlines()) == 2
