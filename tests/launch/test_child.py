from __future__ import annotations

import os
import signal

import pytest

from tokenproxy.launch.child import Child


@pytest.mark.parametrize(
    ("wait_status", "stopped_by", "status", "number"),
    [
        (7 << 8, None, 7, None),
        (signal.SIGTERM, None, 143, signal.SIGTERM),
        (signal.SIGSEGV | 0x80, None, 139, signal.SIGSEGV),
        (signal.SIGTSTP << 8 | 0x7F, signal.SIGTSTP, None, None),
    ],
)
def test_what_waiting_reports(
    wait_status: int, stopped_by: int | None, status: int | None, number: int | None
) -> None:
    child = Child(1)
    assert child.changed(wait_status) == stopped_by
    assert (child.status, child.signal, child.ended) == (status, number, status is not None)


def test_what_has_ended_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    child = Child(12)
    child.send(signal.SIGTERM)
    child.changed(0)
    child.send(signal.SIGKILL)
    assert sent == [(12, signal.SIGTERM)]


def test_a_command_of_another_user_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_what: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    Child(1).send(signal.SIGTERM)
