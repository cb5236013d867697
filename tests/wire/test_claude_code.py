from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.wire.claude_code import session_of_user_id, tool_durations

SESSION = "0b3c1c0e-6d53-4f0e-9d3e-0d5f7a6f1a11"
TURN = "6f0a7e7a-2f64-4e62-9f6c-3a1c9a1f1b22"


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
    assert tool_durations(value) == expected


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


@given(st.text(max_size=60))
def test_garbage_never_raises(text: str) -> None:
    tool_durations(text)
    session_of_user_id(text)
    session_of_user_id("{" + text)
