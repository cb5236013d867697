"""Who reads a request: the recorder's thread, or who has it where too much waits for that."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.proxy.harness import Remembered
from tokenproxy.proxy.request_body import REQUEST_KEPT
from tokenproxy.proxy.tap import Tap
from tokenproxy.record.call import CallStart
from tokenproxy.wire.usage import RequestFacts

BODY = b'{"model":"claude-opus-5-5","messages":[]}'
LARGE = b'{"model":"claude-opus-5-5","messages":[{"role":"user","content":"%s"}]}' % (
    b"x" * REQUEST_KEPT
)


def told(recorder: Remembered, body: bytes, encoding: str = "") -> None:
    """A request passes a tap."""

    def at_once(call: Any, *arguments: Any) -> None:
        call(*arguments)

    start = CallStart(
        call_id="c-1", trace_id="a" * 32, span_id="b" * 16, started_ns=1,
        provider="anthropic", dialect="anthropic.messages", operation="chat",
        server_address="api.anthropic.com", server_port=443,
    )  # fmt: skip
    tap = Tap(start, recorder, at_once)
    tap.request_headers({"content-encoding": encoding})
    tap.request_chunk(body)
    tap.request_over()


def test_a_request_is_left_to_the_recorder() -> None:
    recorder = Remembered()
    told(recorder, BODY, "gzip")
    assert (recorder.bodies, recorder.encodings) == ({"c-1": BODY}, {"c-1": "gzip"})
    assert not recorder.asks


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_a_request_is_read_at_once_where_too_much_waits(body: bytes) -> None:
    recorder = Remembered(crowded=True)
    told(recorder, body)
    assert recorder.asks["c-1"].model == "claude-opus-5-5"
    assert not recorder.bodies


def test_what_is_compressed_never_holds_up_the_event_loop() -> None:
    recorder = Remembered(crowded=True)
    bomb = gzip.compress(b" " * 10_000_000)
    told(recorder, bomb, "gzip")
    assert recorder.bodies == {"c-1": bomb}
    assert not recorder.asks


def test_one_that_cannot_be_read_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> RequestFacts:
        raise ValueError

    monkeypatch.setattr("tokenproxy.proxy.request_body.read_facts", fault)
    recorder = Remembered(crowded=True)
    told(recorder, BODY)
    assert recorder.asks == {"c-1": RequestFacts()}
