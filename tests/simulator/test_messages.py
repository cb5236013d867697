from __future__ import annotations

import json

import msgspec
import pytest

from tests.simulator.wire import assert_states, sse, usage_of
from tokenproxy.simulator import messages
from tokenproxy.simulator.messages import Message, Tokens

MODEL = "claude-opus-5-5"
PLAIN = Tokens(
    model=MODEL, input=12, cache_read=15_000, cache_write_5m=2_000, cache_write_1h=48, output=42
)


def encoded(message: Message) -> bytes:
    return b"".join(event.encode(padding=3) for event in messages.stream(message))


def test_sums_of_tokens() -> None:
    assert PLAIN.cache_write == 2_048
    assert PLAIN.all_input == 12 + 15_000 + 2_048
    both = PLAIN.plus(Tokens(model="other", role="advisor", input=1, output=2, thinking=1))
    assert (both.model, both.role, both.input, both.output, both.thinking) == (
        MODEL,
        "main",
        13,
        44,
        1,
    )
    assert PLAIN.plus(PLAIN).thinking is None


def test_json_body_states_everything_once() -> None:
    body = Message(parts=(PLAIN,), blocks=(messages.text("hi"),)).json()
    assert_states(body["usage"], PLAIN)
    assert body["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 2_000,
        "ephemeral_1h_input_tokens": 48,
    }
    assert body["usage"]["service_tier"] == "standard"
    assert "iterations" not in body["usage"]
    assert (body["model"], body["stop_reason"], body["type"]) == (MODEL, "end_turn", "message")


def test_stream_starts_with_a_placeholder_and_ends_with_the_count() -> None:
    message = Message(parts=(PLAIN,), blocks=(messages.text("one two"),), placeholder_output=7)
    events = sse(encoded(message))
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(data["type"] == name for name, data in events)
    start = events[0][1]["message"]
    assert (start["usage"]["output_tokens"], start["stop_reason"], start["content"]) == (
        7,
        None,
        [],
    )
    delta = events[5][1]["usage"]
    assert not {"cache_creation", "service_tier", "inference_geo"} & set(delta)
    assert_states(usage_of(events), PLAIN)


def test_padding_follows_the_json_on_its_line() -> None:
    event = messages.Event("ping", {"type": "ping"})
    assert event.encode(padding=2) == b'event: ping\ndata: {"type":"ping"}  \n\n'


def test_known_is_what_a_reader_of_each_prefix_can_state() -> None:
    tokens = msgspec.structs.replace(PLAIN, thinking=5)
    message = Message(
        parts=(tokens,),
        blocks=(messages.thinking("Well then"), messages.text("a b c d e f")),
        placeholder_output=3,
        interim_outputs=(20, 31),
    )
    events = list(messages.stream(message))
    for count, event in enumerate(events, 1):
        assert event.known is not None
        (part,) = event.known.parts
        assert_states(usage_of([(e.name, e.data) for e in events[:count]]), part)
        assert event.known.final == (count >= len(events) - 1)
    assert events[-1].known is not None
    assert events[-1].known.parts == message.parts


def test_blocks_are_filled_by_deltas() -> None:
    tool = messages.tool_use("Bash", {"command": "ls -la /tmp", "description": "List it all"})
    blocks = (messages.thinking("hm " * 9), messages.text("one  two\u2028three " * 5), tool)
    rebuilt: list[dict[str, object]] = []
    for name, data in sse(encoded(Message(parts=(PLAIN,), blocks=blocks))):
        if name == "content_block_start":
            assert data["index"] == len(rebuilt)
            rebuilt.append(dict(data["content_block"]) | {"json": ""})
        elif name == "content_block_delta":
            delta, block = data["delta"], rebuilt[data["index"]]
            for key in ("text", "thinking", "signature"):
                if key in delta:
                    block[key] = str(block[key]) + delta[key]
            block["json"] = str(block["json"]) + delta.get("partial_json", "")
    rebuilt[2]["input"] = json.loads(str(rebuilt[2]["json"]))
    assert [{k: v for k, v in block.items() if k != "json"} for block in rebuilt] == list(blocks)


def test_input_that_grows_after_the_start() -> None:
    message = Message(
        parts=(PLAIN,), start_input=5, server_tools={"web_search_requests": 2}, speed="fast"
    )
    events = sse(encoded(message))
    assert events[0][1]["message"]["usage"]["input_tokens"] == 5
    usage = usage_of(events)
    assert usage["input_tokens"] == 12
    assert usage["server_tool_use"] == {"web_search_requests": 2}
    assert usage["speed"] == "fast"


@pytest.mark.parametrize(
    ("roles", "top", "types"),
    [
        (("compaction", "main"), (1,), ["compaction", "message"]),
        (("main", "advisor", "main"), (0, 2), ["message", "advisor_message", "message"]),
        (("fallback_declined", "fallback_served"), (1,), ["message", "fallback_message"]),
    ],
)
def test_iterations(roles: tuple[str, ...], top: tuple[int, ...], types: list[str]) -> None:
    parts = tuple(
        Tokens(model=f"m{at}", role=role, input=10**at, output=3 * 10**at)
        for at, role in enumerate(roles)
    )
    usage = Message(parts=parts).usage()
    assert usage["input_tokens"] == sum(10**at for at in top)
    assert usage["output_tokens"] == sum(3 * 10**at for at in top)
    assert [entry["type"] for entry in usage["iterations"]] == types
    for role, entry, part in zip(roles, usage["iterations"], parts, strict=True):
        assert_states(entry, part)
        assert entry.get("model") == (None if role in ("main", "compaction") else part.model)


def test_declined_attempt_starts_the_stream_and_hands_over() -> None:
    declined = Tokens(model="first", role="fallback_declined", input=4, output=0, billable=False)
    served = Tokens(model="second", role="fallback_served", input=4, output=9)
    hop = {"type": "fallback", "from": {"model": "first"}, "to": {"model": "second"}}
    message = Message(parts=(declined, served), blocks=(hop, messages.text("hi")))
    events = list(messages.stream(message))
    assert events[0].data["message"]["model"] == "first"
    models = [event.known.parts[0].model for event in events[:4] if event.known]
    assert models == ["first", "second", "second", "second"]
    assert message.billed == (served,)
    assert message.json()["model"] == "second"


def test_errors_are_an_envelope() -> None:
    assert messages.error_body("api_error", "No", code="x") == {
        "type": "error",
        "error": {"type": "api_error", "message": "No", "details": {"error_code": "x"}},
    }
    assert messages.error_event("overloaded_error", "Overloaded").known is None
