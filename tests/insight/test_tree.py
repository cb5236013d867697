from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.insight.rows import RUN, Row, failed, row
from tests.insight.test_trace import at, made
from tokenproxy.insight.terminal import open_console
from tokenproxy.insight.trace import TraceRow
from tokenproxy.insight.tree import marks, print_trace

UTC = ZoneInfo("UTC")
LATE = "2026-11-23T00:00:00.000Z"
ROWS = [
    row("t", timestamp=at(0), model="claude-haiku-4-5", request_class="auxiliary", client="cli/1"),
    row("a", timestamp=at(300), turn_id="0123456789abc", request_class="main"),
    row(
        "b",
        timestamp=at(700),
        turn_id="0123456789abc",
        agent_id="fedcba9876",
        agent_type="Explore",
        model="claude-sonnet-5-5",
    ),
    failed("c", timestamp=at(1300), turn_id="0123456789abc"),
    row("d", timestamp=at(1600), turn_id="0123456789abc", retry_of="c"),
]


def printed(rows: list[Row], width: int | None = None, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=out, width=width) if width else open_console(out)
    print_trace(made(rows), console, UTC)
    return raw.getvalue().decode(encoding).splitlines()


def test_a_tree_as_it_is_read() -> None:
    assert printed(ROWS) == [
        f"run {RUN}",
        "story US-7 · iteration 3 · cli/1 · 2025-11-25 07:35:04 UTC",
        (
            "5 calls (1 failed) · 68.2k in (60.0k cached) · 220 out · $0.0580"
            " · 1.8 s from first to last"
        ),
        "",
        "#                                 start    took     in  cached  written  out     cost",
        "1  claude-haiku-4-5 (auxiliary)    0 ms  200 ms  17.1k   15.0k     2.0k   55  $0.0145",
        "   turn 01234567                 300 ms   1.5 s  51.2k   45.0k     6.1k  165  $0.0435",
        "2  ├─ claude-opus-5-5            300 ms  200 ms  17.1k   15.0k     2.0k   55  $0.0145",
        "   ├─ agent Explore fedcba98     700 ms  200 ms  17.1k   15.0k     2.0k   55  $0.0145",
        "3  │  └─ claude-sonnet-5-5       700 ms  200 ms  17.1k   15.0k     2.0k   55  $0.0145",
        (
            "4  ├─ claude-opus-5-5             1.3 s   30 ms"
            "                                        ✗ 529 overloaded_error"
        ),
        (
            "5  └─ claude-opus-5-5             1.6 s  200 ms  17.1k   15.0k     2.0k   55  $0.0145"
            "  ↻ retry of 4"
        ),
    ]


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({}, ""),
        ({"retry_of": "c1"}, "↻ retry of 4"),
        ({"retry_of": "gone"}, "↻ retry of gone"),
        ({"fallback_used": True}, "⇄ fallback"),
        (
            {
                "success": False,
                "outcome": "aborted",
                "error": "client_disconnected",
                "completeness": "partial",
            },
            "✗ aborted, client_disconnected, incomplete: counts are a lower bound",
        ),
        ({"completeness": "none", "cost_usd": None}, "incomplete: told no usage"),
        ({"cost_usd": None}, "unpriced"),
        ({"cost_usd": None, "provider_cost_usd": 0.5}, ""),
        (
            {"completeness": "partial", "cost_usd": None},
            "incomplete: counts are a lower bound, unpriced",
        ),
        ({"success": False, "outcome": "lost"}, "✗ lost"),
        ({"success": False, "outcome": "error", "error": "api_error"}, "✗ api_error"),
        ({"stop_reason": "max_tokens"}, "stopped: max_tokens"),
        ({"stop_reason": "end_turn"}, ""),
        ({"stop_reason": "stop"}, ""),
        ({"stop_reason": "STOP"}, ""),
        ({"stop_reason": "completed"}, ""),
        ({"stop_reason": "length"}, "stopped: length"),
        ({"stop_reason": "SAFETY"}, "stopped: SAFETY"),
        (
            {
                "parts": [
                    {"model": "claude-opus-5-5", "role": "main"},
                    {"model": "claude-haiku-4-5", "role": "advisor"},
                    {"model": "x", "role": "fallback_declined", "billable": False},
                ]
            },
            "+ advisor claude-haiku-4-5",
        ),
        ({"stop_reason": "\x1b[2J"}, r"stopped: \x1b[2J"),
    ],
)
def test_what_is_unusual_stands_in_words(changes: Row, mark: str) -> None:
    assert marks(msgspec.convert(row(**changes), TraceRow), {"c1": 4}) == mark


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_narrow_terminal_keeps_cost_and_time(width: int) -> None:
    lines = printed(ROWS, width)
    head = lines[4]
    assert head.split()[-3:] == ["in", "out", "cost"] or "cached" in head
    assert "took" in head
    if width >= 60:
        assert all(cell_len(line) <= width for line in lines[4:9])
    assert any("$0.0145" in line for line in lines)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = printed(ROWS, encoding="ascii")
    assert any(line.startswith("4  |- claude-opus-5-5") for line in lines)
    assert lines[-1].endswith("$0.0145  retry of 4")


def test_names_from_outside_have_no_power_over_the_terminal() -> None:
    odd = row("a", model="\x1b[2J\n", story_id="\r\x07", project="p\n", turn_id="\x1b]0;x\x07")
    assert not any("\x1b" in line or "\x07" in line for line in printed([odd]))


def test_the_providers_own_figure_is_shown() -> None:
    lines = printed([row("a", provider_cost_usd=0.25)])
    assert "$0.2500" in lines[2]
    assert lines[-1].endswith("$0.2500")


def test_calls_not_fully_told_are_marked_and_counted_in_the_head() -> None:
    silent = row("b", completeness="none", input_tokens=None, output_tokens=None, cost_usd=None)
    lines = printed([row("a"), silent, row("c", cost_usd=None, timestamp=LATE)])
    assert lines[2].startswith("3 calls (1 incomplete) · 34.1k in (")
    assert "· $0.0145 + 1 unpriced ·" in lines[2]
    assert lines[-2].endswith("  incomplete: told no usage")
    assert lines[-1].endswith("  unpriced")
    assert printed([failed("a"), silent])[2].startswith("2 calls (1 failed, 1 incomplete) · ")
    assert "· 1 unpriced ·" in printed([row("a", cost_usd=None)])[2]


def test_several_providers_are_named_and_one_is_not() -> None:
    one = row("a", model="gpt-5.4", provider="openrouter")
    other = row("b", timestamp=LATE, provider="openai", model="e", operation="embeddings")
    lines = printed([one, other])
    assert lines[-2].startswith("1  gpt-5.4 · openrouter  ")
    assert lines[-1].startswith("2  e · openai (embeddings)  ")
    assert printed([one])[-1].startswith("1  gpt-5.4   ")


def test_a_long_name_keeps_both_its_ends() -> None:
    rows = [row("a", model="m" * 84, provider="gateway"), row("b", timestamp=LATE)]
    line = printed(rows, 70)[-2]
    assert cell_len(line) <= 70
    assert line.startswith("1  mmm")
    assert "…" in line
    assert " · gateway  " in line


def test_a_gateway_has_no_iteration() -> None:
    served = row(story_id="", iteration=0)
    assert printed([served])[1].startswith("gateway · 2026-11-22 00:54:55")
    assert printed([served | {"project": "p"}])[1].startswith("iteration 0 · p · ")
