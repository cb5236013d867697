"""That leaving something behind is found: the check of every test, checked."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests import leftovers
from tests.leftovers import Leftovers
from tests.listening import let_go, listening


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GRACE_S", 0.05)
    monkeypatch.setattr(leftovers, "ALLOWED", 1)


@pytest.fixture
def left() -> Iterator[ExitStack]:
    """What a test leaves; this one takes it away."""
    with ExitStack() as made:
        yield made


def opened(left: ExitStack) -> None:
    left.callback(os.close, os.open(os.devnull, os.O_RDONLY))


def started(left: ExitStack) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="one that waits")
    thread.start()
    left.callback(thread.join)
    left.callback(end.set)


def test_what_is_left_is_told_with_who_left_it(left: ExitStack) -> None:
    found = Leftovers()
    found.begin()
    opened(left)
    found.end("the first")  # as many as are allowed
    found.begin()
    started(left)
    with pytest.raises(AssertionError) as told:
        found.end("the second")
    _, first, second = str(told.value).splitlines()
    assert first.startswith("the first: descriptor ")
    assert first.endswith(f" of {os.devnull}")
    assert second == "the second: thread one that waits"


def test_what_was_there_is_nobodys(left: ExitStack) -> None:
    for _ in range(2):
        opened(left)
        started(left)
    found = Leftovers()
    found.begin()
    found.end("a test")


def test_what_is_gone_by_then_counts_no_more() -> None:
    found = Leftovers()
    for _ in range(3):
        found.begin()
        with ExitStack() as left:
            opened(left)
            found.end("a test")


def test_who_is_slow_to_end_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "ALLOWED", 0)
    monkeypatch.setattr(leftovers, "GRACE_S", 30.0)
    found = Leftovers()
    found.begin()
    threading.Timer(0.05, int).start()
    found.end("a test")


def test_a_thread_that_accepts_is_woken_and_nobody_is_let_in_any_more() -> None:
    ended = threading.Event()

    def accept(listener: socket.socket) -> None:
        with pytest.raises(OSError, match=r"\["):
            listener.accept()
        ended.set()

    with listening() as listener:
        threading.Thread(target=accept, args=(listener,)).start()
        address = listener.getsockname()
    assert ended.wait(10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


def test_a_thread_that_reads_is_woken() -> None:
    ours, theirs = socket.socketpair()
    got: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # closed before it began to read
            got.append(theirs.recv(1))

    reader = threading.Thread(target=read)
    with ours:
        reader.start()
        let_go(theirs)
        reader.join(10)
    assert not reader.is_alive()
    assert b"".join(got) == b""
