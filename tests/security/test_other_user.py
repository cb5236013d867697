"""Another user of the machine can neither use a running proxy nor read what it keeps."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bench import BODY, Bench, curl, wait_until
from tests.security.stranger import Stranger
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

WAITS = """
printf '%s\\n' "$ANTHROPIC_BASE_URL" "$HTTPS_PROXY" "$NODE_EXTRA_CA_CERTS" > told.new
mv told.new told
while [ ! -e over ]; do sleep 0.05; done
[ ! -s over ] || exit
curl -sS "$1/v1/messages" -H 'content-type: application/json' -d "$2"
"""
"""A command that tells where the proxy is, waits, and then makes a call of its own
unless it is told not to."""
SENTENCE = b"serves another user of this machine"


@contextmanager
def running(
    bench: Bench, sim: Simulator, mode: str, *options: str, umask: int = 0o022, **env: str
) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """A run that waits: the launcher, and what the command was told."""
    url = "https://api.anthropic.com" if mode == "forward" else "$ANTHROPIC_BASE_URL"
    script = WAITS.replace('"$1', f'"{url}')
    before = os.umask(umask)
    try:
        run = bench.start(
            "run", *options, "--mode", mode, "--route", f"api.anthropic.com={sim.url}", "--",
            "sh", "-c", script, "sh", "", json.dumps(BODY), env=env,
        )  # fmt: skip
    finally:
        os.umask(before)
    told = bench.work / "told"
    try:
        wait_until(told.exists, 30)
        yield run, told.read_text().splitlines()
    finally:
        if not (bench.work / "over").exists():
            (bench.work / "over").touch()
        try:
            run.wait(timeout=30)
        finally:
            run.kill()


def attempts(port: str) -> list[list[str]]:
    """Everything that a client may ask of a proxy's port."""
    here = f"http://127.0.0.1:{port}"
    body = ["-d", json.dumps(BODY), "-H", "content-type: application/json"]
    quiet = ["curl", "-sSk", "--max-time", "20"]
    upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
               "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
               "-H", "Sec-WebSocket-Version: 13"]  # fmt: skip
    return [
        [*quiet, f"{here}/anthropic/v1/messages", *body],
        [*quiet, f"{here}/v1/messages", *body],
        [*quiet, f"{here}/anthropic/v1/messages", *body, "-H", "Expect: 100-continue"],
        [*quiet, f"{here}/openai/v1/responses", *upgrade],
        [*quiet, "-x", here, "https://api.anthropic.com/v1/messages", *body],
        [*quiet, "-x", here, "http://api.anthropic.com/v1/messages", *body],
        [*quiet, "-x", f"http://root:x@127.0.0.1:{port}", "https://api.anthropic.com/v1/messages"],
        [*quiet, "--http2-prior-knowledge", f"{here}/v1/messages", *body],
        [*quiet, f"https://127.0.0.1:{port}/v1/messages", *body],
    ]


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_another_user_cannot_send_a_request(bench: Bench, stranger: Stranger, mode: str) -> None:
    with Simulator("plain") as sim:
        with running(bench, sim, mode) as (run, told):
            port = re.findall(r"127\.0\.0\.1:(\d+)", " ".join(told))[0]
            for words in attempts(port):
                got = stranger.run(*words)
                assert got.returncode != 0 or SENTENCE in got.stdout, (words, got.stdout)
            # One that does not wait for an answer, and is gone before anybody looks.
            (bench.root / "hasty").write_bytes(
                b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
            )
            hasty = f"cat {bench.root}/hasty > /dev/tcp/127.0.0.1/{port}"
            for _ in range(50):
                assert stranger.run("bash", "-c", hasty).returncode == 0
            assert sim.requests == []
        assert len(sim.requests) == 1, "the run's own call, afterwards"
    out, err = run.communicate(timeout=30)
    assert run.returncode == 0
    assert b"msg_" in out
    assert err.count(f"user {stranger.uid} of this machine".encode()) == 1
    assert b"1 call" in err
    assert len(bench.rows()) == 1


def test_whom_the_command_becomes_belongs_to_the_run(bench: Bench, stranger: Stranger) -> None:
    """A command that is started as root, say in a container, and gives that up."""
    words = stranger.words("sh", "-c", "curl -sS $0/v1/messages -d {}", "URL")
    becomes = " ".join("$ANTHROPIC_BASE_URL" if w == "URL" else f"'{w}'" for w in words)
    with Simulator("plain") as sim:
        run = bench.tokenproxy(
            "run", "--mode", "reverse", "--route", f"api.anthropic.com={sim.url}", "--",
            "sh", "-c", becomes,
        )  # fmt: skip
        assert len(sim.requests) == 1, run.stderr
    assert b"msg_" in run.stdout
    assert b"sent away" not in run.stderr
    assert len(bench.rows()) == 1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_another_user_cannot_read_what_a_run_keeps(
    bench: Bench, stranger: Stranger, umask: int
) -> None:
    with Simulator("stall") as sim, OtlpReceiver("http") as collector:
        otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "JAVA_TOOL_OPTIONS": "-Xmx9m"}
        with running(bench, sim, "forward", "--capture", umask=umask, **otlp) as (run, _):
            asks = subprocess.Popen(
                curl("https://api.anthropic.com/v1/messages", "-k", "-x",
                     (bench.work / "told").read_text().splitlines()[1]),
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            sim.wait_for(lambda s: bool(s.calls and s.calls[0].known))
            wait_until(bench.journals)
            asks.kill()
            asks.wait()
            wait_until(bench.ledger.exists)
            seen = kept(bench)
            names = {path.name for path in seen}
            assert {"state", "runs", "upstream.pem", "java.p12", "proxy.log"} <= names
            assert any(name.startswith("journal-") for name in names)
            assert bench.ledger in seen
            assert any("captures" in str(path) and path.is_file() for path in seen)
            for path in seen:
                assert path.stat().st_mode & 0o077 & ~open_by_design(path) == 0, path
                look = ["ls", str(path)] if path.is_dir() else ["cat", str(path)]
                if path.exists():
                    assert stranger.run(*look).returncode != 0, path
            run.kill()
            (bench.work / "over").write_text("and no call")
            run.communicate(timeout=30)
        wait_until(lambda: bench.rows() and not bench.journals(), 30)
    for path in kept(bench):
        assert path.stat().st_mode & 0o077 & ~open_by_design(path) == 0, path


def test_a_place_that_is_made_for_state_is_the_users_alone_all_the_way(bench: Bench) -> None:
    """Who may write to a directory may put another in the place of what is in it."""
    deep = bench.root / "a" / "b" / "state"
    before = os.umask(0)
    try:
        run = bench.tokenproxy("run", "--", "true", env={"TOKENPROXY_STATE_DIR": str(deep)})
    finally:
        os.umask(before)
    assert run.returncode == 0
    for path in (deep, deep.parent, deep.parent.parent):
        assert path.stat().st_mode & 0o077 == 0


def open_by_design(path: Path) -> int:
    """A badge becomes a lock, which whoever shares the ledger reads; its directory is closed."""
    return 0o044 if path.suffix == ".badge" else 0


def kept(bench: Bench) -> list[Path]:
    """Everything of ours under the user's place; what the command itself made is not."""
    return [path for path in bench.root.rglob("*") if bench.work not in (path, *path.parents)]
