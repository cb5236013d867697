"""The wrapped command never notices: pace, exit, imports, telemetry's absence."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.bench import BODY, Bench, reverse_curl
from tests.listening import listening
from tokenproxy.simulator.server import Simulator

READER = """
import http.client, os
from urllib.parse import urlsplit
base = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
client = http.client.HTTPConnection(base.hostname, base.port)
client.request("POST", base.path + "/v1/messages", os.environ["BODY"])
answer = client.getresponse()
while line := answer.readline():
    print(line.decode(), end="", flush=True)
"""


def test_no_event_is_held_for_the_next_one(bench: Bench) -> None:
    """The next event is sent when the command has told that this one has come, and no sooner."""
    with Simulator("plain") as sim:
        asked = json.dumps({**BODY, "stream": True})
        told = http.client.HTTPConnection("127.0.0.1", sim.port)
        told.request("POST", "/v1/messages", asked)
        events = [event + b"\n\n" for event in told.getresponse().read().split(b"\n\n")[:-1]]
        told.close()
    assert len(events) > 5
    came: queue.Queue[bytes] = queue.Queue()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as request:
            size = 0
            while (line := request.readline()) != b"\r\n":
                name, _, value = line.lower().partition(b":")
                size = int(value) if name == b"content-length" else size
            request.read(size)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            for event in events:
                connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                got = b""
                while len(got) < len(event):
                    got += came.get(timeout=30)
                assert got == event
            connection.sendall(b"0\r\n\r\n")
            connection.recv(1)

    with listening() as listener, ThreadPoolExecutor() as pool:
        answered = pool.submit(answer)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        env = {"ANTHROPIC_BASE_URL": url, "BODY": asked}
        with bench.start("run", "--", sys.executable, "-c", READER, env=env) as run:
            assert run.stdout is not None
            for line in run.stdout:
                came.put(line)
        answered.result(30)
    assert run.returncode == 0
    assert bench.rows()[0]["outcome"] == "complete"


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
        stamp = bench.work / "stamp"
        run = bench.tokenproxy(
            "run", "--", "sh", "-c", f"{reverse_curl()[2]}; sleep 1; touch {stamp}", env=env
        )
        ended = time.time()
    assert run.returncode == 0
    # What is waited for is held to the millisecond in tests/telemetry/test_pipeline.py. A busy
    # machine adds to it, but an export that nobody bounds takes ten seconds.
    after = ended - stamp.stat().st_mtime
    assert after < 5, f"{after:.2f} s after the command's end"
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
