"""Where the kernel does not tell users apart, a run's secret does: in the URLs that lead to us."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.e2e.bench import Bench, curl
from tests.security.stranger import Stranger
from tokenproxy.simulator.server import Simulator

ELSEWHERE = """
import sys
from tokenproxy import peers
peers.telling = lambda listener: False  # as on macOS
from tokenproxy.cli.main import main
main()
"""
FORWARD = "https://api.anthropic.com/v1/messages"


def run(bench: Bench, sim: Simulator, mode: str, script: str) -> subprocess.CompletedProcess[bytes]:
    route = f"api.anthropic.com={sim.url}"
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE, "run", "--mode", mode, "--route", route, "--",
         "sh", "-c", script],
        env=bench.env, cwd=bench.work, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def quoted(words: list[str]) -> str:
    return " ".join(word if word.startswith('"$') else f"'{word}'" for word in words)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_command_needs_to_know_nothing(bench: Bench, mode: str) -> None:
    url = FORWARD if mode == "forward" else '"$ANTHROPIC_BASE_URL"/v1/messages'
    with Simulator("stream") as sim:
        done = run(bench, sim, mode, f"env >&2; {quoted(curl(url))}")
        assert done.stdout == bytes(sim.calls[0].sent)
        (secret,) = set(re.findall(rb"tokenproxy:([^@]{32})@|/~([^/]{32})/", done.stderr))
        told = "".join(secret.decode() for secret in secret)
        assert told not in repr(sim.requests)
    (row,) = bench.rows()
    assert row["outcome"] == "complete"
    for path in bench.root.rglob("*"):
        assert not path.is_file() or told.encode() not in path.read_bytes(), path


BARE = "-x $(echo $HTTPS_PROXY | sed s,//.*@,//,)"
"""The proxy's URL without its password."""


@pytest.mark.parametrize(
    ("mode", "url", "via", "status"),
    [
        ("reverse", "$(echo $ANTHROPIC_BASE_URL | sed s,/~[^/]*,,)", "", "401"),
        ("forward", "https://api.anthropic.com", BARE, "407"),
        ("forward", "http://api.anthropic.com", BARE, "407"),
    ],
)
def test_whoever_does_not_show_it_is_refused(
    bench: Bench, mode: str, url: str, via: str, status: str
) -> None:
    script = f"unset https_proxy; curl -sSi {via} {url}/v1/messages -d '{{}}'"
    with Simulator("plain") as sim:
        done = run(bench, sim, mode, script)
        assert f"HTTP/1.1 {status} ".encode() in done.stdout, (done.stdout, done.stderr)
        assert sim.requests == []
    assert bench.rows() == []


def test_another_user_is_refused_without_it_and_let_in_with_it(
    bench: Bench, stranger: Stranger
) -> None:
    """Whom the command hands its environment to belongs to the run."""
    ask = ["curl", "-sS", "URL", "-d", "{}"]
    words = [w if w != "URL" else '"$url/v1/messages"' for w in stranger.words(*ask)]
    script = f"""
        url=$(echo $ANTHROPIC_BASE_URL | sed s,/~[^/]*,,); {quoted(words)}; echo
        url=$ANTHROPIC_BASE_URL; {quoted(words)}
    """
    with Simulator("plain") as sim:
        done = run(bench, sim, "reverse", script)
        refused, _, answered = done.stdout.partition(b"\n")
        assert b"authentication_error" in refused
        assert b"msg_" in answered
        assert len(sim.requests) == 1
    assert os.geteuid() != stranger.uid
