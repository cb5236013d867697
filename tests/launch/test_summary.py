from __future__ import annotations

import os
import select
import sys

import pytest

from tokenproxy.config import Summary
from tokenproxy.launch import summary
from tokenproxy.launch.summary import put, say, summary_line


def test_a_run() -> None:
    summary = Summary(
        calls=5,
        input_tokens=85_200,
        cache_read_input_tokens=75_000,
        output_tokens=258,
        cost_usd=0.0723,
    )
    assert summary_line(summary, elapsed_ms=3210, iteration=7) == (
        "5 calls · 85.2k in (75.0k cached) · 258 out · $0.0723 · 3.2 s · iteration 7"
    )


def test_what_went_wrong_is_said() -> None:
    free = Summary(calls=1, unpriced=1, input_tokens=10)
    assert "· 10 in · 0 out · 1 unpriced ·" in summary_line(free, elapsed_ms=10, iteration=0)
    summary = Summary(calls=1, failed=1, incomplete=2, unpriced=3, input_tokens=10, cost_usd=1.5)
    assert summary_line(summary, elapsed_ms=10, iteration=0) == (
        "1 call (1 failed, 2 incomplete) · 10 in · 0 out · $1.50 + 3 unpriced · 10 ms · iteration 0"
    )


def test_no_calls() -> None:
    assert summary_line(Summary(), elapsed_ms=10, iteration=3) == "0 calls · 10 ms · iteration 3"


def test_a_sentence_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    say("two\nlines  of\ttext \udcff")
    assert capfd.readouterr().err == "tokenproxy: two lines of text \\udcff\n"


def test_a_stderr_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = os.dup(2)
    try:
        os.close(2)
        monkeypatch.setattr(sys, "stderr", None)
        say("to nobody")
        read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        os.close(read)
        say("to nobody either")
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_a_stderr_that_nobody_reads_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    full = True

    class Poll:
        def register(self, fd: int, events: int) -> None:
            assert (fd, events) == (2, select.POLLOUT)

        def poll(self, wait_ms: float) -> list[tuple[int, int]]:
            waits.append(wait_ms)
            return [] if full else [(2, select.POLLOUT)]

    monkeypatch.setattr(select, "poll", Poll)
    monkeypatch.setattr(summary, "_reader", summary._Reader())
    assert [put(b"x") for _ in range(3)] == [False] * 3
    assert waits == [1000, 0, 0]
    full = False
    assert put(b"")
    monkeypatch.setattr(os, "write", lambda _fd, data: len(data))
    assert put(b"x")
    full = True
    assert not put(b"x")
    assert waits[3:] == [0, 1000], "somebody had read again"
