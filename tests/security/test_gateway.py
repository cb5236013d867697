"""A gateway's token, and whom it serves without one."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.bench import BODY, Bench, curl
from tests.security.stranger import Stranger
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

TOKEN = "tok.CANARY_of-24~characters"
REMOTE = ("--listen", "0.0.0.0:0", "--allow-remote")
type Started = tuple[subprocess.Popen[bytes], str, str]


@contextmanager
def serving(bench: Bench, sim: Simulator, *words: str, **env: str) -> Iterator[Started]:
    """A gateway: its process, where it is, its CA's path."""
    listen = words or ("--listen", "127.0.0.1:0")
    gateway = bench.start("serve", *listen, "--route", f"api.anthropic.com={sim.url}", env=env)
    assert gateway.stderr is not None
    try:
        said = b"".join(gateway.stderr.readline() for _ in range(3)).decode()
        assert TOKEN not in said
        host, port = re.findall(r"listening on http://(\S+):(\d+),", said)[0]
        host = "127.0.0.1" if host == "0.0.0.0" else host
        ca = re.findall(r"NODE_EXTRA_CA_CERTS=(\S+)", said)[0]
        yield gateway, f"{host}:{port}", ca
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
    finally:
        gateway.kill()
        gateway.communicate(timeout=10)


def run(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, check=False, timeout=30)


def ways(here: str, ca: str, token: str | None) -> list[list[str]]:
    """Every way to ask, each with the token, or without."""
    login, step = (f"tokenproxy:{token}@", f"/~{token}") if token else ("", "")
    header = ["-H", f"x-tokenproxy-token: {token}"] if token else []
    bearer = ["--proxy-header", f"Proxy-Authorization: Bearer {token}"] if token else []
    real = "https://api.anthropic.com/v1/messages"
    trust = ["--cacert", ca]
    return [
        curl(f"http://{here}{step}/anthropic/v1/messages"),
        curl(f"http://{here}{step}/v1/messages?beta=true"),
        curl(f"http://{here}/v1/messages", *header),
        curl(f"http://{here}/v1/messages", *header, "-H", "Expect: 100-continue"),
        curl(real, "-x", f"http://{login}{here}", *trust),
        curl(real, "-x", f"http://{login}{here}", *trust, "--http2"),
        curl(real, "-x", f"http://{here}", *bearer, *trust),
        curl("http://api.anthropic.com/v1/messages", "-x", f"http://{login}{here}"),
        # Shown to us and again in the tunnel, where it would reach the provider.
        curl(real, "-x", f"http://{login}{here}", *trust, *header),
        curl(real, "-x", f"http://{login}{here}", *trust, *header, "--http2"),
    ]


def test_with_the_token_all_ways_are_open_and_it_stays_here(bench: Bench) -> None:
    file = bench.root / "token"
    file.write_text(TOKEN + "\n")
    with Simulator("plain") as sim, OtlpReceiver("http") as collector:
        otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with serving(bench, sim, *REMOTE, "--token-file", str(file), **otlp) as (_, here, ca):
            asked = ways(here, ca, TOKEN)
            for words in asked:
                assert b"msg_" in run(words).stdout, words
            for method in ("get", "post"):  # a second request of a connection that mitmproxy has
                twice = run([*asked[3], "--next", *asked[0][1:], "--request", method.upper()])
                assert twice.stdout.count(b"{") >= 2
        assert len(sim.calls) >= len(asked)
        shown = (TOKEN, base64.b64encode(f"tokenproxy:{TOKEN}".encode()).decode())
        sent = repr([(r.path, r.headers, r.body) for r in sim.requests])
        told = repr(collector.spans)
        for form in shown:
            assert form not in sent, "it is for us alone"
            assert form not in told
            for path in bench.root.rglob("*"):
                if path.is_file() and path != file:
                    assert form.encode() not in path.read_bytes(), path
    assert {row["outcome"] for row in bench.rows()} == {"complete"}


@pytest.mark.parametrize("token", [None, TOKEN + "x", TOKEN[:-1], "~"])
def test_without_it_none_is(bench: Bench, token: str | None) -> None:
    with (
        Simulator("plain") as sim,
        serving(bench, sim, *REMOTE, TOKENPROXY_SERVE_TOKEN=TOKEN) as (_, here, ca),
    ):
        for words in ways(here, ca, token):
            got = run(words)
            assert b"authentication_error" in got.stdout or b"40" in got.stderr, (words, got)
            assert b"msg_" not in got.stdout
        pri = run(["curl", "-sS", "--http2-prior-knowledge", f"http://{here}/v1/messages"])
        assert pri.returncode != 0
        health = run(["curl", "-sS", f"http://{here}/healthz"])
        assert json.loads(health.stdout)["status"] == "ok"
        assert sim.requests == []
    assert bench.rows() == []


def test_a_connection_that_mitmproxy_has_shows_it_each_time(bench: Bench) -> None:
    """As behind something that shares its connections between clients."""
    ask = json.dumps(BODY)
    expect = ["-H", "Expect: 100-continue", "-d", ask]
    with (
        Simulator("plain") as sim,
        serving(bench, sim, *REMOTE, TOKENPROXY_SERVE_TOKEN=TOKEN) as (_, here, _),
    ):
        url = f"http://{here}/v1/messages"
        good = ["-sS", "-H", f"x-tokenproxy-token: {TOKEN}", *expect, url]
        got = run(["curl", *good, "--next", "-sSv", "-d", ask, url])
        assert b"Re-using existing" in got.stderr or b"Reusing existing" in got.stderr
        assert b"401 Unauthorized" in got.stderr
        assert len(sim.requests) == 1


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        (REMOTE, {}, b"--token-file"),
        ((*REMOTE, "--token-file", "/nowhere"), {}, b"/nowhere"),
        ((*REMOTE, "--token-file", "/dev/null"), {}, b"16 characters"),
        (REMOTE, {"TOKENPROXY_SERVE_TOKEN": "short"}, b"TOKENPROXY_SERVE_TOKEN"),
        (REMOTE, {"TOKENPROXY_SERVE_TOKEN": "with a blank in it, and long"}, b"none"),
        ((*REMOTE, "--no-token"), {"TOKENPROXY_SERVE_TOKEN": TOKEN}, b"exclude"),
        (("--listen", "0.0.0.0:0"), {"TOKENPROXY_SERVE_TOKEN": TOKEN}, b"--allow-remote"),
        (("--max-connections", "0"), {}, b"max-connections"),
        (("--idle-timeout", "0"), {}, b"idle-timeout"),
        (("--max-body", "-1"), {}, b"max-body"),
    ],
)
def test_bad_input(bench: Bench, words: tuple[str, ...], env: dict[str, str], says: bytes) -> None:
    done = bench.tokenproxy("serve", *words, env=env)
    assert done.returncode == 2
    assert says in done.stderr
    assert b"Traceback" not in done.stderr
    for secret in env.values():
        assert secret.encode() not in done.stderr


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_on_loopback_it_is_its_users_alone_unless_told(
    bench: Bench, stranger: Stranger, listen: str
) -> None:
    with Simulator("plain") as sim:
        with serving(bench, sim, "--listen", listen) as (_, here, _):
            ask = curl(f"http://{here}/v1/messages")
            assert b"msg_" in run(ask).stdout
            assert b"permission_error" in stranger.run(*ask).stdout
            health = stranger.run("curl", "-sS", f"http://{here}/healthz")
            assert json.loads(health.stdout)["status"] == "ok"
            assert len(sim.requests) == 1
        with serving(bench, sim, "--listen", listen, "--no-token") as (_, here, _):
            assert b"msg_" in stranger.run(*curl(f"http://{here}/v1/messages")).stdout
        token = {"TOKENPROXY_SERVE_TOKEN": TOKEN}
        with serving(bench, sim, "--listen", listen, **token) as (_, here, _):
            assert b"authentication" in stranger.run(*curl(f"http://{here}/v1/messages")).stdout
            with_it = curl(f"http://{here}/~{TOKEN}/v1/messages")
            assert b"msg_" in stranger.run(*with_it).stdout
    assert os.geteuid() != stranger.uid
