"""Trap 25: to hold a stream back, of which clients think that it stalls."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy, Remembered
from tests.wire.fixtures.anthropic import PLAIN
from tokenproxy.proxy.tap import Tap
from tokenproxy.record.call import CallStart
from tokenproxy.simulator.server import Simulator


def test_t25_an_answer_is_passed_on_while_it_comes() -> None:
    """One event each 100 ms: the first is there long before the last is sent."""
    with Simulator("slow") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        client.request("POST", "/anthropic/v1/messages", json.dumps({**BODY, "stream": True}))
        answer = client.getresponse()
        assert answer.readline() == b"event: message_start\n"
        arrived = time.monotonic_ns()
        answer.read()
        client.close()
    assert len(sim.calls[0].chunk_sent_ns) > 5
    assert arrived < sim.calls[0].chunk_sent_ns[-1]


def test_t25_a_chunk_is_passed_on_before_it_is_read() -> None:
    later: list[tuple[Any, ...]] = []
    recorder = Remembered()
    tap = Tap(
        CallStart(
            call_id="c-1", trace_id="a" * 32, span_id="b" * 16, started_ns=1,
            provider="anthropic", dialect="anthropic.messages", operation="chat",
            server_address="api.anthropic.com", server_port=443,
        ),
        recorder,
        lambda *call: later.append(call),
    )  # fmt: skip
    tap.response_headers(200, {"content-type": "text/event-stream"})
    assert tap.response_chunk(PLAIN) is PLAIN
    assert recorder.progress == []
    for read, *arguments in later:
        read(*arguments)
    assert [call for call, _ in recorder.progress] == ["c-1"]
