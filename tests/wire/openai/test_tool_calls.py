from __future__ import annotations

import pytest

from tokenproxy.wire.openai.tool_calls import MAX_CALLS, Call, ToolCalls
from tokenproxy.wire.usage import ToolUse

ONE, TWO = (0, 0), (0, 1)


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([], ()),
        ([Call(ONE, "a", "f"), Call(ONE, None, None)], (ToolUse("a", "f"),)),
        ([Call(ONE, "a", None)], ()),
        ([Call(ONE, None, "f")], ()),
        ([Call(ONE, "a", None), Call(ONE, None, "f")], (ToolUse("a", "f"),)),
        ([Call(ONE, None, "f"), Call(ONE, "a", None)], (ToolUse("a", "f"),)),
        ([Call(ONE, "a", "f"), Call(ONE, "a", "f")], (ToolUse("a", "f"),)),
        ([Call(ONE, "a", "f"), Call(ONE, "b", "g")], (ToolUse("a", "f"), ToolUse("b", "g"))),
        ([Call(ONE, "a", "f"), Call(ONE, "b", None)], (ToolUse("a", "f"),)),
        ([Call(ONE, "a", "f"), Call(TWO, "b", "f")], (ToolUse("a", "f"), ToolUse("b", "f"))),
    ],
)
def test_calls_out_of_pieces(pieces: list[Call], found: tuple[ToolUse, ...]) -> None:
    calls = ToolCalls()
    calls.take(pieces)
    assert calls.found() == found


def test_a_call_is_news_once() -> None:
    calls = ToolCalls()
    pieces = [Call(ONE, "a", None), Call(ONE, None, "f"), Call(ONE, None, None)]
    assert [calls.take([piece]) for piece in pieces] == [False, True, False]


def test_calls_are_bounded() -> None:
    calls = ToolCalls()
    calls.take(Call((0, number), f"call_{number}", "f") for number in range(MAX_CALLS + 9))
    assert len(calls.found()) == 1024
    calls = ToolCalls()
    calls.take(Call(ONE, f"call_{number}", "f") for number in range(MAX_CALLS + 9))
    assert len(calls.found()) == 1024
