"""``--inject-include-usage`` on the wire."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.proxy.harness import Proxy
from tokenproxy.simulator.server import Simulator

BODY: dict[str, Any] = {
    "model": "gpt-6-sol",
    "stream": True,
    "messages": [{"role": "user", "content": "hello"}],
}
PATH = "/openai/v1/chat/completions"


def ask(proxy: Proxy, body: dict[str, Any], path: str = PATH, encoding: str = "gzip") -> bytes:
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    client.request("POST", path, json.dumps(body), {"accept-encoding": encoding})
    return client.getresponse().read()


def test_the_usage_is_asked_for_and_its_chunk_taken_out() -> None:
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}, inject_include_usage=True) as proxy,
    ):
        got = ask(proxy, BODY)
        ((start, end),) = proxy.recorder.wait()
        sent = sim.requests[0].json
        whole = bytes(sim.calls[0].sent)
    assert sent == {**BODY, "stream_options": {"include_usage": True}}
    assert b'"choices":[]' in whole
    assert b'"choices":[]' not in got
    extra = [event for event in whole.split(b"\n\n") if b'"choices":[]' in event]
    assert got == whole.replace(extra[0] + b"\n\n", b"")
    assert got.endswith(b"data: [DONE]\n\n")
    assert json.loads(proxy.recorder.bodies[start.call_id] or b"") == BODY
    assert end.reading.completeness == "final"
    assert (end.outcome, len(end.reading.parts)) == ("complete", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": False},
        {"stream_options": {"include_usage": False}},
        {"stream_options": {"include_usage": True}},
    ],
)
def test_what_the_client_has_said_stays(changes: dict[str, Any]) -> None:
    body = {**BODY, **changes}
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}, inject_include_usage=True) as proxy,
    ):
        assert ask(proxy, body, encoding="") == bytes(sim.calls[0].sent)
        proxy.recorder.wait()
        assert sim.requests[0].body == json.dumps(body).encode()


def test_nothing_is_changed_unless_it_is_asked_for() -> None:
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
    ):
        assert ask(proxy, BODY, encoding="") == bytes(sim.calls[0].sent)
        ((_, end),) = proxy.recorder.wait()
        assert sim.requests[0].body == json.dumps(BODY).encode()
    assert end.reading.completeness == "none"
    assert "include_usage_absent" in end.reading.notes
