"""The wrapped command never notices: pace, exit, imports, telemetry's absence."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

import pytest

from tests.e2e.bench import BODY, Bench, reverse_curl
from tokenproxy.simulator.server import Simulator

READER = """
import http.client, json, os, sys, time
from urllib.parse import urlsplit
base = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
client = http.client.HTTPConnection(base.hostname, base.port)
client.request("POST", base.path + "/v1/messages", os.environ["BODY"])
answer = client.getresponse()
times = []
while answer.readline():
    times.append(time.monotonic_ns())
json.dump(times, sys.stdout)
"""


def test_no_event_is_held_for_the_next_one(bench: Bench) -> None:
    """One event each 100 ms: each line is there long before the next event is sent."""
    with Simulator("slow") as sim:
        run = bench.tokenproxy(
            "run", "--", sys.executable, "-c", READER,
            env={"ANTHROPIC_BASE_URL": sim.url, "BODY": json.dumps({**BODY, "stream": True})},
        )  # fmt: skip
        sent = sim.calls[0].chunk_sent_ns
        lines = bytes(sim.calls[0].sent).split(b"\n")
    arrived = json.loads(run.stdout)
    # A chunk is one event: its lines arrive before the next chunk is sent.
    assert len(sent) > 5
    lags = []
    line = 0
    for number, at in enumerate(sent):
        size = 0
        while size < _chunk(sim, number):
            size += len(lines[line]) + 1
            lags.append((arrived[line] - at) / 1e6)
            line += 1
    assert max(lags) < 60, f"worst lag {max(lags):.1f} ms"


def _chunk(sim: Simulator, number: int) -> int:
    return sim.calls[0].chunk_sizes[number]


TELLS_IMPORTS = """
import os, sys
class Teller:
    def find_spec(self, name, path=None, target=None):
        if name in ("opentelemetry", "mitmproxy.proxy", "tokenproxy.proxy", "tokenproxy"):
            with open(os.environ["IMPORTS"], "a") as out:
                out.write(f"{os.getpid()} {name}\\n")
sys.meta_path.insert(0, Teller())
"""


@pytest.mark.parametrize(
    ("protocol", "imported"), [(None, False), ("http/protobuf", False), ("grpc", True)]
)
def test_opentelemetry_is_imported_only_where_it_is_needed(
    bench: Bench, protocol: str | None, imported: bool
) -> None:
    """Every process of ours tells what it imports; with gRPC the telling is seen to work."""
    site = bench.root / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(TELLS_IMPORTS)
    told = bench.root / "imports"
    env = {"PYTHONPATH": f"{site}:{bench.env['PYTHONPATH']}", "IMPORTS": str(told)}
    if protocol is not None:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        env["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    with Simulator("plain") as sim:
        bench.tokenproxy("run", "--", *reverse_curl(), env={**env, "ANTHROPIC_BASE_URL": sim.url})
    assert len(bench.rows()) == 1
    imports: dict[str, set[str]] = {}
    for line in told.read_text().splitlines():
        pid, name = line.split()
        imports.setdefault(pid, set()).add(name)
    proxies = [names for names in imports.values() if "tokenproxy.proxy" in names]
    launchers = [names for names in imports.values() if "tokenproxy.proxy" not in names]
    assert {"tokenproxy"} in launchers
    assert len(proxies) == 1
    assert not any("mitmproxy.proxy" in names for names in imports.values())  # nothing was unusual
    assert any("opentelemetry" in names for names in imports.values()) is imported


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("kind", ["refused", "black-holed"])
def test_a_dead_collector_costs_at_most_a_second(bench: Bench, kind: str, protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole, Simulator("plain") as sim:
        port = hole.getsockname()[1]
        if kind == "refused":
            hole.close()
        env = {
            "ANTHROPIC_BASE_URL": sim.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        bench.tokenproxy("run", "--", *reverse_curl(), env={"ANTHROPIC_BASE_URL": sim.url})
        begun = time.monotonic()
        stamp = bench.work / "stamp"
        run = bench.tokenproxy(
            "run", "--", "sh", "-c", f"{reverse_curl()[2]}; sleep 1; touch {stamp}", env=env
        )
        ended = time.time()
    assert run.returncode == 0
    assert time.monotonic() > begun
    after = ended - stamp.stat().st_mtime
    assert after < 1.3, f"{after:.2f} s after the command's end"
    assert len(bench.rows()) == 2
    assert run.stderr.count(b"collector") == 1


def test_stdin_and_binary_output_pass(bench: Bench) -> None:
    blob = bytes(range(256)) * 4096
    run = bench.tokenproxy("run", "--", "cat", stdin=blob)
    assert run.stdout == blob
    assert run.returncode == 0


def test_the_summary_can_be_silenced(bench: Bench) -> None:
    assert bench.tokenproxy("run", "--no-summary", "--", "true").stderr == b""


def test_other_hosts_are_tunnelled_unopened(bench: Bench) -> None:
    """A TLS server of another name shows its own certificate through the proxy."""
    seen: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def accept() -> None:
        connection, _ = server.accept()
        with connection:
            seen.append(connection.recv(4096))

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    script = f"curl -sS -m 5 --noproxy '' https://localhost:{port}/ ; env | grep -i proxy >&2; true"
    bench.tokenproxy("run", "--mode", "forward", "--", "sh", "-c", script)
    thread.join(10)
    server.close()
    assert seen, "nothing came through the tunnel"
    assert seen[0][:1] == b"\x16", "the client's own TLS hello arrives as it was sent"
    assert b"localhost" in seen[0]
