from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator
from tokenproxy.simulator.tunnel import Tunnel

COMMAND = [sys.executable, "-m", "tokenproxy.simulator.agent"]
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if key in ("PATH", "PYTHONPATH", "HOME", "LANG", "VIRTUAL_ENV")
}


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMAND, env=CLEAN | environment, capture_output=True, text=True, check=False, timeout=30
    )


def test_reverse_plays_the_whole_piece() -> None:
    with Simulator("demo") as sim:
        done = run(ANTHROPIC_BASE_URL=sim.url)
    pauses = sum(piece.delay_s for call in sim.calls for piece in call.reply.pieces)
    assert pauses < 4  # who looks on does not wait long
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "agent: done"
    assert "overloaded_error, trying again" in done.stdout
    assert [call.reply.status for call in sim.calls] == [200, 200, 200, 200, 200, 529, 200, 200]
    headers = [call.request.header for call in sim.calls]
    classes = [header("x-claude-code-request-class") for header in headers]
    assert classes == ["auxiliary", "main", "main", "subagent", "subagent", "main", "main", "main"]
    agents = [header("x-claude-code-agent-id") for header in headers]
    assert agents[3] == agents[4] is not None
    assert agents.count(None) == 6
    assert [header("x-stainless-retry-count") for header in headers] == [*"000000", "1", "0"]
    durations = [header("x-claude-code-prev-tool-durations") or "" for header in headers]
    assert [[item.split("=")[0] for item in d.split(";")] for d in durations] == [
        [""],
        [""],
        ["Bash"],
        [""],
        ["Grep"],
        ["Read", "Agent"],
        ["Read", "Agent"],
        ["Edit"],
    ]
    assert len({header("x-claude-code-session-id") for header in headers}) == 1
    assert len({header("x-claude-code-prompt-id") for header in headers}) == 1
    assert len({header("x-client-request-id") for header in headers}) == 8
    assert {call.encoding for call in sim.calls} == {"gzip"}
    assert sim.billed() == sim.known()
    assert sim.billed()["claude-opus-5-5"].cache_write_5m > 40_000


def test_forward_through_a_proxy_with_credentials(tmp_path: Path) -> None:
    certificates = tls.throwaway(tmp_path)
    with Simulator("demo", tls=certificates.context()) as sim, Tunnel(sim.port) as tunnel:
        done = run(
            HTTPS_PROXY=tunnel.url.replace("//", "//user:s%40crt@"),
            SSL_CERT_FILE=str(certificates.ca),
            TRACEPARENT=f"00-{'a' * 32}-{'b' * 16}-01",
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(sim.calls) == 8
    head = tunnel.heads[0].decode()
    assert head.startswith("CONNECT api.anthropic.com:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dXNlcjpzQGNydA==" in head
    traceparent = sim.requests[0].header("traceparent") or ""
    assert traceparent.split("-")[1] == "a" * 32
    assert traceparent.split("-")[2] != "b" * 16


def test_ctrl_c_ends_it_without_a_word() -> None:
    with Simulator("stall") as sim:
        env = CLEAN | {"ANTHROPIC_BASE_URL": sim.url}
        agent = subprocess.Popen(
            COMMAND, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        sim.wait_for(lambda one: bool(one.calls))
        agent.send_signal(signal.SIGINT)
        _, said = agent.communicate(timeout=10)
    assert (agent.returncode, said) == (-signal.SIGINT, b"")


def test_failures_are_one_sentence() -> None:
    done = run(ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("agent: no answer from 127.0.0.1:9: ")
    assert done.stderr.count("\n") == 1
    with Simulator("rate-limited") as sim:
        done = run(ANTHROPIC_BASE_URL=sim.url)
    assert (done.returncode, done.stderr) == (1, "agent: the API refused: rate_limit_error\n")
    assert len(sim.calls) == 1
