from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.wire.attribution import read_attribution
from tokenproxy.wire.usage import Attribution

SESSION = "0b3c1c0e-6d53-4f0e-9d3e-0d5f7a6f1a11"
TURN = "6f0a7e7a-2f64-4e62-9f6c-3a1c9a1f1b22"
THREAD = "0199f9d2-5a7c-7e10-8f65-0f7c1a1f2b33"
PARENT = "0199f9d2-4411-7e10-8f65-aaaaaaaaaaaa"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_subagents_request() -> None:
    headers = {
        "x-claude-code-session-id": SESSION,
        "x-claude-code-prompt-id": TURN,
        "x-claude-code-agent-id": "a8dafbeb582d237bd",
        "x-claude-code-parent-agent-id": "a1",
        "x-claude-code-agent-type": "general-purpose",
        "x-claude-code-request-class": "subagent",
        "x-claude-code-compaction": "auto",
        "x-claude-code-context-compacted": "true",
        "x-claude-code-prev-tool-durations": "Bash=1094, Agent=22",
        "x-client-request-id": "8d0f3c0e",
        "x-stainless-retry-count": "2",
        "traceparent": TRACEPARENT,
        "tracestate": "a=1",
        "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
        "x-api-key": "sk-ant-test-000",
        "authorization": "Bearer secret",
    }
    assert read_attribution(headers) == Attribution(
        session_id=SESSION,
        turn_id=TURN,
        agent_id="a8dafbeb582d237bd",
        parent_agent_id="a1",
        agent_type="general-purpose",
        request_class="subagent",
        compaction="auto",
        context_compacted="true",
        client_request_id="8d0f3c0e",
        attempt=2,
        tool_durations_ms=(("Bash", 1094.0), ("Agent", 22.0)),
        client="claude-cli/2.1.330",
        traceparent=TRACEPARENT,
        tracestate="a=1",
    )


def test_no_headers() -> None:
    assert read_attribution({}) == Attribution()


def test_codex_main_thread() -> None:
    headers = {
        "session-id": SESSION,
        "thread-id": SESSION,
        "x-client-request-id": SESSION,
        "x-codex-window-id": f"{SESSION}:0",
        "x-codex-turn-metadata": json.dumps({"turn_id": TURN, "request_kind": "turn"}),
        "user-agent": "codex_exec/0.150.0 (Debian 12)",
    }
    assert read_attribution(headers) == Attribution(
        session_id=SESSION, turn_id=TURN, request_class="turn", client="codex_exec/0.150.0"
    )


def test_codex_subagent_of_a_subagent() -> None:
    headers = {
        "session-id": SESSION,
        "thread-id": THREAD,
        "x-codex-parent-thread-id": PARENT,
        "x-openai-subagent": "collab_spawn",
        "x-codex-turn-metadata": json.dumps({"turn_id": TURN}),
    }
    assert read_attribution(headers) == Attribution(
        session_id=SESSION,
        turn_id=TURN,
        agent_id=THREAD,
        parent_agent_id=PARENT,
        agent_type="collab_spawn",
    )


def test_codex_subagent_of_the_main_thread() -> None:
    told = {"session_id": SESSION, "thread_id": THREAD, "parent_thread_id": SESSION}
    found = read_attribution({"x-codex-turn-metadata": json.dumps(told)})
    assert (found.session_id, found.agent_id, found.parent_agent_id) == (SESSION, THREAD, None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"session_id": SESSION}, Attribution(session_id=SESSION)),
        (
            {"x-opencode-session": "ses_1", "x-opencode-request": "msg_2"},
            Attribution(session_id="ses_1", client_request_id="msg_2"),
        ),
        (
            {"x-client-session-id": SESSION, "x-interaction-id": TURN},
            Attribution(session_id=SESSION, turn_id=TURN),
        ),
        ({"x-kilocode-taskid": "task-1"}, Attribution(session_id="task-1")),
        (
            {"user-agent": "GeminiCLI/0.20.0/gemini-3-pro (linux; x64)"},
            Attribution(client="GeminiCLI/0.20.0/gemini-3-pro"),
        ),
        (
            {"user-agent": "OpenAI/Python 3.57.0"},
            Attribution(client="OpenAI/Python/3.57.0"),
        ),
        ({"user-agent": "Mozilla/5.0 3D"}, Attribution(client="Mozilla/5.0")),
        ({"x-codex-turn-metadata": "{not json"}, Attribution()),
        ({"x-codex-turn-metadata": '{"turn_id": 7}'}, Attribution()),
    ],
)
def test_other_clients(headers: dict[str, str], expected: Attribution) -> None:
    assert read_attribution(headers) == expected


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("x-stainless-retry-count", "-1", "attempt"),
        ("x-stainless-retry-count", "many", "attempt"),
        ("x-stainless-retry-count", "9999999999", "attempt"),
        ("x-stainless-retry-count", "²", "attempt"),
        ("user-agent", "   ", "client"),
        ("user-agent", "x" * 300, "client"),
        ("x-claude-code-session-id", "a\x1b[31m", "session_id"),
        ("traceparent", "00-short", "traceparent"),
        ("traceparent", TRACEPARENT.upper(), "traceparent"),
        ("tracestate", "a=1", "tracestate"),
    ],
)
def test_what_makes_no_sense_is_left_out(name: str, value: str, field: str) -> None:
    assert getattr(read_attribution({name: value}), field) is None


def test_attempt_zero_is_a_value() -> None:
    assert read_attribution({"x-stainless-retry-count": "0"}).attempt == 0


HEADERS = st.sampled_from(
    [
        "x-claude-code-prev-tool-durations",
        "x-stainless-retry-count",
        "x-codex-turn-metadata",
        "user-agent",
        "traceparent",
        "tracestate",
        "session-id",
    ]
)


@given(st.dictionaries(HEADERS, st.text(max_size=40)))
def test_garbage_never_raises(headers: dict[str, str]) -> None:
    read_attribution(headers)
