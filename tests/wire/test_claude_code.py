from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.wire.claude_code import read_attribution, session_of_user_id
from tokenproxy.wire.usage import Attribution

SESSION = "0b3c1c0e-6d53-4f0e-9d3e-0d5f7a6f1a11"
TURN = "6f0a7e7a-2f64-4e62-9f6c-3a1c9a1f1b22"
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Bash=742;Read=9", (("Bash", 742.0), ("Read", 9.0))),
        ("Bash=1094, Agent=22", (("Bash", 1094.0), ("Agent", 22.0))),
        ("Bash=1;Bash=2", (("Bash", 1.0), ("Bash", 2.0))),
        (" mcp__files__read = 3.5 ", (("mcp__files__read", 3.5),)),
        ("a=b=7", (("a=b", 7.0),)),
        ("Bash=", ()),
        ("=7", ()),
        ("Bash", ()),
        ("Bash=-1,Read=nan,Glob=inf,Grep=1", (("Grep", 1.0),)),
        ("", ()),
        (";,;", ()),
    ],
)
def test_tool_durations(value: str, expected: tuple[tuple[str, float], ...]) -> None:
    found = read_attribution({"x-claude-code-prev-tool-durations": value})
    assert found.tool_durations_ms == expected


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


@pytest.mark.parametrize(
    ("user_id", "session"),
    [
        (f'{{"device_id":"d","account_uuid":"a","session_id":"{SESSION}"}}', SESSION),
        (f' {{"session_id":"{SESSION}"}}', SESSION),
        ('{"device_id":"d","session_id":7}', None),
        ('{"device_id":"d"', None),
        (f"user_{'0' * 64}_account_{TURN}_session_{SESSION}", SESSION),
        (f"user_{'0' * 64}_account__session_{SESSION}", SESSION),
        ("user-1234", None),
        ("_session_", None),
        ("", None),
    ],
)
def test_session_of_user_id(user_id: str, session: str | None) -> None:
    assert session_of_user_id(user_id) == session


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "x-claude-code-prev-tool-durations",
                "x-stainless-retry-count",
                "user-agent",
                "traceparent",
                "tracestate",
                "x-claude-code-session-id",
            ]
        ),
        st.text(max_size=40),
    ),
    st.text(max_size=60),
)
def test_garbage_never_raises(headers: dict[str, str], user_id: str) -> None:
    read_attribution(headers)
    session_of_user_id(user_id)
    session_of_user_id("{" + user_id)
