from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.simulator.wire import ask, assert_states, sse, usage_of
from tokenproxy.simulator.reply import Reply, Request, json_reply
from tokenproxy.simulator.scenarios import (
    SCENARIOS,
    Scenario,
    by_header,
    by_model,
    calls_only,
    in_order,
    named,
)
from tokenproxy.simulator.server import Simulator

named("plain")  # fills the table
ANSWERED = [
    "advisor",
    "agent",
    "compaction",
    "demo",
    "fallback",
    "fallback-mid-output",
    "huge-headers",
    "plain",
    "refusal",
    "stream",
    "tool-use",
    "web-search",
    "wrong-content-type",
]
ERRORS = {
    "overloaded": (529, "overloaded_error"),
    "overloaded-retry-after": (529, "overloaded_error"),
    "overloaded-model": (529, "overloaded_error"),
    "rate-limited": (429, "rate_limit_error"),
}


def request(number: int = 1, *, method: str = "POST", path: str = "/v1/messages") -> Request:
    return Request(number=number, method=method, path=path, headers=(), body=b"{}", arrived_ns=0)


def numbered(value: int) -> Scenario:
    return calls_only(lambda _: json_reply(value))


def value_of(reply: Reply | None) -> object:
    return None if reply is None else json.loads(reply.pieces[0].data)


@pytest.mark.parametrize("name", ANSWERED)
def test_stream_and_json_state_the_same_usage(name: str) -> None:
    with Simulator(name) as sim:
        _, streamed = ask(sim, tools=[{"name": "Bash"}])
    with Simulator(name) as sim:
        response, whole = ask(sim, stream=False, tools=[{"name": "Bash"}])
        (call,) = sim.calls
    if name == "demo":  # streams, as its agent always asks for it
        assert response.headers["content-type"].startswith("text/event-stream")
        return
    body = json.loads(whole)
    events = sse(streamed)
    assert usage_of(events) == body["usage"]
    assert events[-2][1]["delta"]["stop_reason"] == body["stop_reason"]
    assert call.known is not None
    assert call.known.final
    if len(call.known.parts) == 1:
        assert_states(body["usage"], call.known.parts[0])
    else:
        for entry, part in zip(body["usage"]["iterations"], call.known.parts, strict=True):
            assert_states(entry, part)
    assert tuple(p for p in call.known.parts if p.billable) == call.billed


def test_usage_of_the_special_cases() -> None:
    found = {}
    for name in ("web-search", "compaction", "fallback", "fallback-mid-output", "refusal"):
        with Simulator(name) as sim:
            found[name] = usage_of(sse(ask(sim)[1])), sim.calls[0].billed
    usage, _ = found["web-search"]
    assert (usage["input_tokens"], usage["server_tool_use"]) == (10_682, {"web_search_requests": 2})
    usage, billed = found["compaction"]
    assert usage["input_tokens"] == 23_000
    assert sum(part.input for part in billed) == 203_000
    assert [part.role for part in found["fallback"][1]] == ["fallback_served"]
    roles = [part.role for part in found["fallback-mid-output"][1]]
    assert roles == ["fallback_declined", "fallback_served"]
    assert found["refusal"][1] == ()


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with Simulator(name) as sim:
        response, body = ask(sim)
        answer = json.loads(body)
        assert (response.status, answer["error"]["type"]) == ERRORS[name]
        assert answer["request_id"] == response.headers["request-id"]
        assert (sim.calls[0].billed, sim.calls[0].known) == ((), None)
        retry_after = {"overloaded-retry-after": "1", "rate-limited": "30"}.get(name)
        assert response.headers["retry-after"] == retry_after


def test_overloaded_once_or_for_one_model() -> None:
    with Simulator("overloaded") as sim:
        assert [ask(sim)[0].status for _ in range(3)] == [529, 200, 200]
    with Simulator("overloaded-model") as sim:
        models = ["claude-opus-5-5", "claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-5-5"]
        assert [ask(sim, model=m)[0].status for m in models] == [529, 529, 200, 529]
        assert set(sim.billed()) == {"claude-sonnet-5-5"}


def not_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return True
    return False


BODIES: list[tuple[str, str, int, Callable[[bytes], bool]]] = [
    ("malformed-json", "application/json", 200, not_json),
    ("not-utf8", "application/json", 200, not_json),
    ("html-413", "text/html", 413, lambda body: b"413 Request Entity" in body),
    ("wrong-content-type", "text/plain", 200, lambda body: b"message_stop" in body),
    ("malformed-stream", "text/event-stream", 200, lambda body: b"nonsense\xff" in body),
    ("error-mid-stream", "text/event-stream", 200, lambda body: sse(body)[-1][0] == "error"),
]


@pytest.mark.parametrize(("name", "kind", "status", "holds"), BODIES)
def test_odd_bodies(name: str, kind: str, status: int, holds: Callable[[bytes], bool]) -> None:
    with Simulator(name) as sim:
        response, body = ask(sim)
    assert response.status == status
    assert response.headers["content-type"].startswith(kind)
    assert holds(body)
    assert ("request-id" in response.headers) == (name != "html-413")


def test_a_failed_stream_repeated_without_one_succeeds() -> None:
    with Simulator("error-mid-stream") as sim:
        assert json.loads(ask(sim, stream=False)[1])["stop_reason"] == "end_turn"


def test_huge_headers() -> None:
    with Simulator("huge-headers") as sim:
        connection_headers = ask(sim)[0].headers
    assert sum(len(k) + len(v) for k, v in connection_headers.items()) > 45_000


def test_every_scenario_leaves_other_paths_to_the_api() -> None:
    for name in SCENARIOS:
        assert named(name)(request(method="HEAD", path="/")) is None
        assert named(name)(request(path="/v1/messages/count_tokens")) is None


def test_in_order_counts_calls_only() -> None:
    scenario = in_order(numbered(1), numbered(2))
    assert scenario(request(path="/other")) is None
    assert [value_of(scenario(request(n))) for n in range(3)] == [1, 2, 2]


def test_choices() -> None:
    scenario = by_model({"claude-haiku": numbered(1)}, other=numbered(2))
    assert value_of(scenario(request())) == 2
    scenario = by_header("x-kind", {"a": numbered(3)}, other=scenario)
    assert value_of(scenario(request())) == 2
    with Simulator(scenario) as sim:
        assert ask(sim, model="claude-haiku-4-5")[1] == b"1"
        assert ask(sim, headers={"X-Kind": "a"})[1] == b"3"


@pytest.mark.parametrize("name", ["nothing", "plain+lzma", "plain+each:x", "plain+"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match="unknown"):
        named(name)


def test_modifiers_add_up() -> None:
    reply = named("stream+gzip+random:7+each:20")(request())
    assert reply is not None
    assert (reply.encoding, reply.chunks, reply.sized) == ("gzip", "random:7", False)
    assert {piece.delay_s for piece in reply.pieces} == {0.02}
