"""What shows a run's mark passes as ever and is none of the gateway's calls, on every way."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tests.simulator.sockets import Client as Socket
from tests.simulator.test_websocket import create
from tokenproxy.config import Admission
from tokenproxy.simulator.server import Simulator

HOST = "api.anthropic.com"
MARK = "run-0123456789abcdef"
TOKEN = "a-token_of.24~characters"


@pytest.mark.parametrize("lane", [True, False])
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("marked", [True, False])
def test_each_way(tmp_path: Path, lane: bool, token: str | None, marked: bool) -> None:
    name, step = (MARK, f"/~{MARK}") if marked else ("somebody", "")
    with (
        Simulator("stream") as sim,
        Proxy(
            routes={HOST: sim.url},
            admission=Admission(secret=token),
            run_mark=MARK,
            lane=lane,
        ) as proxy,
    ):
        ca = tmp_path / "ca.pem"
        ca.write_text(proxy.ca_pem)
        login = proxy.url.replace("//", f"//{name}:{token or ''}@")
        in_tunnel = [f"https://{HOST}/v1/messages", "-x", login, "--cacert", str(ca)]
        shown = f"/~{token}" if token else ""
        asked = [
            [f"{proxy.url}{shown}{step}/anthropic/v1/messages"],
            [f"{proxy.url}{shown}{step}/v1/messages"],
            [f"{proxy.url}{shown}{step}/v1/messages", "-H", "Expect: 100-continue"],
            in_tunnel,
            [*in_tunnel, "--http2"],
            # Inside an opened tunnel the lane hands this one over.
            [*in_tunnel, "--http1.1", "-H", "Connection: upgrade", "-H", "Upgrade: foo/2"],
        ]
        for words in asked:
            body = ["-d", json.dumps({**BODY, "stream": True})]
            got = subprocess.run(
                ["curl", "-sS", "-m", "20", *words, *body], capture_output=True, check=True
            )
            assert got.stdout == bytes(sim.calls[-1].sent), words
        if not marked:
            proxy.recorder.wait(len(asked))
        sent = [(call.request.path, call.request.headers) for call in sim.calls]
    assert len(proxy.recorder.starts) == (0 if marked else len(asked))
    assert proxy.recorder.unread == []
    assert len(sent) == len(asked)
    assert {path for path, _ in sent} == {"/v1/messages"}
    assert MARK not in repr(sent)
    assert proxy.relayed() == (len(asked) if marked else 0)


@pytest.mark.parametrize("lane", [True, False])
def test_a_websocket(lane: bool) -> None:
    with (
        Simulator("plain") as sim,
        Proxy(routes={"api.openai.com": sim.url}, run_mark=MARK, lane=lane) as proxy,
    ):
        for step in (f"/~{MARK}", ""):
            with Socket(proxy, f"{step}/openai/v1/responses") as client:
                assert client.status == 101
                client.send(create(model="gpt-6-sol"))
                client.events()
        proxy.recorder.wait()
        assert len(sim.calls) == 2
    assert len(proxy.recorder.starts) == 1


def test_what_is_no_call_is_not_counted_as_one() -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}, run_mark=MARK) as proxy:
        subprocess.run(
            ["curl", "-s", "-o", "/dev/null", f"{proxy.url}/~{MARK}/anthropic/v1/models"],
            check=True,
        )
    assert proxy.relayed() == 0
    assert proxy.recorder.unread == [], "its run has counted it"


def test_a_mark_alone_leads_nowhere_and_lets_nobody_in() -> None:
    admission = Admission(secret=TOKEN)
    for given, path, status in (
        (None, f"/~{MARK}", 404),
        (None, f"/~{MARK}x/anthropic/v1/messages", 404),
        (admission, f"/~{MARK}/anthropic/v1/messages", 401),
    ):
        with Proxy(run_mark=MARK, admission=given) as proxy:
            got = subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "{}",
                 proxy.url + path],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        assert int(got.stdout) == status, path


@pytest.mark.parametrize("lane", [True, False])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_run_outlives_the_gateway_that_it_began_behind(lane: bool, token: str | None) -> None:
    """The next one on that port has another mark: the run's calls go on, and are recorded."""
    shown, earlier = f"/~{token}" if token else "", f"/~run-{'0' * 32}"
    with (
        Simulator("stream") as sim,
        Proxy(
            routes={HOST: sim.url},
            admission=Admission(secret=token),
            run_mark=MARK,
            lane=lane,
        ) as proxy,
    ):
        for path in ("/anthropic/v1/messages", "/v1/messages"):
            got = subprocess.run(
                ["curl", "-sS", "-m", "20", f"{proxy.url}{shown}{earlier}{path}",
                 "-d", json.dumps({**BODY, "stream": True})],
                capture_output=True, check=True,
            )  # fmt: skip
            assert got.stdout == bytes(sim.calls[-1].sent), path
        proxy.recorder.wait(2)
        assert {call.request.path for call in sim.calls} == {"/v1/messages"}
    assert proxy.relayed() == 0
