"""One answer, however often and from wherever it is fetched, counts once."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.e2e.bench import Bench, total
from tokenproxy.simulator.server import Simulator

ASK = """
import json, os, sys, urllib.request
base = os.environ["OPENAI_BASE_URL"]
def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(base + path, data, headers, method=method)
    return urllib.request.urlopen(request).read()
"""
POST = """
made = json.loads(ask("POST", "/responses", json.loads(sys.argv[1])))
print(made["id"])
"""
GET = """
for path in sys.argv[1:]:
    sys.stdout.buffer.write(ask("GET", path))
"""


def run(bench: Bench, sim: Simulator, script: str, *words: str) -> bytes:
    ended = bench.tokenproxy(
        "run", "--mode", "reverse", "--", sys.executable, "-c", ASK + script, *words,
        env={"OPENAI_BASE_URL": f"{sim.url}/v1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def body(**more: Any) -> str:
    return json.dumps({"model": "gpt-6-sol", "input": "hello", **more})


def test_an_answer_that_is_looked_at_again_is_not_counted_again(bench: Bench) -> None:
    with Simulator("plain") as sim:
        made = run(bench, sim, POST, body()).decode().strip()
        again = run(bench, sim, GET, f"/responses/{made}", f"/responses/{made}?stream=true")
        assert made.encode() in again
        assert len(sim.requests) == 3
    (row,) = bench.rows()
    assert (row["operation"], row["outcome"], row["response_id"]) == ("responses", "complete", made)
    assert row["input_tokens"] == 17_060


def test_nor_is_one_whose_row_is_not_written_yet(bench: Bench) -> None:
    """The prices are still being loaded when a run's first answer is looked at again."""
    again = 'ask("GET", "/responses/" + made["id"])\n'
    with Simulator("plain") as sim:
        run(bench, sim, POST + again, body())
        assert len(sim.requests) == 2
    (row,) = bench.rows()
    assert row["input_tokens"] == 17_060


SOCKET = """
from tests.simulator.sockets import Client
from urllib.parse import urlsplit
class Server:
    url = base
with Client(Server, urlsplit(base).path + "/responses") as client:
    client.send({"type": "response.create", "model": "gpt-6-sol", "input": "hello"})
    made = client.events()[-1]["response"]
"""


def test_nor_is_one_that_came_over_a_websocket(bench: Bench) -> None:
    again = 'ask("GET", "/responses/" + made["id"])\n'
    with Simulator("plain") as sim:
        run(bench, sim, SOCKET + again)
        assert [one.method for one in sim.requests] == ["GET", "WS", "GET"]
    (row,) = bench.rows()
    assert row["input_tokens"] == 17_060


def test_a_background_answer_is_counted_by_the_first_look_that_tells_its_usage(
    bench: Bench,
) -> None:
    with Simulator("plain") as sim:
        made = run(bench, sim, POST, body(background=True)).decode().strip()
        polled = [f"/responses/{made}"] * 4
        run(bench, sim, GET, *polled)
        run(bench, sim, GET, f"/responses/{made}", f"/responses/{made}?stream=true")
        billed = sim.billed()["gpt-6-sol"]
    asked, answered = bench.rows()
    assert (asked["outcome"], asked["completeness"]) == ("complete", "none")
    assert "input_tokens" not in asked
    assert (answered["completeness"], answered["response_id"]) == ("final", made)
    assert total(bench.rows(), "input_tokens") == billed.all_input
    assert total(bench.rows(), "output_tokens") == billed.output
    assert bench.tokenproxy("ledger", "verify").returncode == 0


def test_batch_results_are_counted_once_across_runs(bench: Bench) -> None:
    with Simulator("plain") as sim:
        for _ in range(2):
            run(bench, sim, GET, "/files/file-1/content")
        billed = len(sim.requests)
    assert billed == 2
    rows = bench.rows()
    assert len({row["call_id"] for row in rows}) == len(rows) > 0
    assert {row["service_tier"] for row in rows if row["success"]} == {"batch"}
