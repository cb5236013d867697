from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tokenproxy.insight.terminal import open_console, plain, printable, shorten


def test_text_from_a_ledger_has_no_power_over_the_terminal() -> None:
    assert printable("a\x1b[31m\r\n\t\u202eb") == r"a\x1b[31m\r\n\t\u202eb"
    assert printable("Überraschung 日本 5") == "Überraschung 日本 5"
    assert printable(5) == "5"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None, "no-such-encoding"])
def test_what_the_encoding_cannot_say_is_said_in_ascii(encoding: str | None) -> None:
    assert plain("├─ 3 · ≥ 5 ↻ retry 日", encoding) == "|- 3 , >= 5 retry ?"


def test_what_it_can_say_is_left() -> None:
    assert plain("├─ 日", "utf-8") == "├─ 日"


def test_a_pipe_gets_whole_lines() -> None:
    out = io.StringIO()
    open_console(out).print("[b]x[/b] :smile: " + "y" * 5_000)
    assert out.getvalue() == "[b]x[/b] :smile: " + "y" * 5_000 + "\n"


@pytest.mark.parametrize(
    ("width", "cut", "shortened"),
    [
        (10, "…", "abcdefghij"),
        (9, "…", "abcd…ghij"),
        (4, "…", "ab…j"),
        (1, "…", "…"),
        (0, "…", ""),
        (-1, "…", ""),
        (9, "...", "abc...hij"),
        (3, "...", "..."),
        (2, "...", ".."),
    ],
)
def test_a_long_name_is_cut_in_the_middle(width: int, cut: str, shortened: str) -> None:
    assert shorten("abcdefghij", width, cut) == shortened


@given(st.text(st.characters(categories=["L", "N", "P"])), st.integers(0, 40))
def test_what_is_cut_has_the_width_that_was_asked_for(text: str, width: int) -> None:
    assert cell_len(shorten(text, width)) <= width
