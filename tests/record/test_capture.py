"""Captures: what a file holds, who may read it, when it goes, and where it cannot be."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.record.make import start
from tests.wire.fixtures.eventstream import event
from tokenproxy.record import capture, capture_files
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.record.capture import Captures

JSON = {"content-type": "application/json; charset=utf-8"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "captures"


def keep(
    place: Path,
    *,
    asked: bytes = b"{}",
    answered: bytes = b"[]",
    headers: dict[str, str] | None = None,
    encoding: str = "",
    opening: CallStart | None = None,
) -> tuple[Path, tuple[str, ...]]:
    opening = opening or start()
    captures = Captures(place, "run-1", 7)
    call = captures.open(opening, JSON | (headers or {}))
    call.asked(asked)
    call.answered_by({"content-type": "text/plain", "content-encoding": encoding})
    call.answered(answered[:1])
    call.answered(answered[1:])
    call.close(CallEnd(ended_ns=opening.started_ns + 1, outcome="complete", status_code=200))
    said = captures.finish(10)
    return place / "run-1" / f"{opening.call_id}.json.zst", said


def test_both_bodies_are_kept(place: Path) -> None:
    path, said = keep(place, asked=b'{"a":1}', answered="grüß".encode())
    found: dict[str, Any] = capture_files.read(path)
    assert said == ()
    assert found["schema"] == "tokenproxy.capture/1"
    assert found["request"] == {"content_type": "application/json", "bytes": 7, "body": '{"a":1}'}
    assert found["response"] == {"content_type": "text/plain", "bytes": 6, "body": "grüß"}
    assert (found["status_code"], found["outcome"]) == (200, "complete")


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_it_is_for_this_user_alone(place: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        path, _ = keep(place)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(each.stat().st_mode) for each in (place, path.parent)} == {0o700}


def test_credentials_are_taken_out_of_what_was_compressed(place: Path) -> None:
    body = gzip.compress(b"you sent key-0123456789")
    path, _ = keep(place, answered=body, encoding="gzip", headers={"x-api-key": "key-0123456789"})
    assert capture_files.read(path)["response"]["body"] == "you sent [redacted]"


def test_credentials_are_taken_out_of_an_event_stream(place: Path) -> None:
    """Its events have the words of the model in base64, each some of them."""
    key = "sk-ant-api03-AbCdEfGhIjKlMn"
    deltas = [{"index": 0, "delta": {"text": text}} for text in ("it is " + key[:9], key[9:], ".")]
    body = b"".join(
        event("chunk", {"bytes": base64.b64encode(json.dumps(delta).encode()).decode()})
        for delta in deltas
    )
    opening = start()
    captures = Captures(place, "run-1", 7)
    call = captures.open(opening, JSON)
    call.answered_by({"content-type": "application/vnd.amazon.eventstream"})
    call.answered(body)
    call.close(CallEnd(ended_ns=opening.started_ns + 1, outcome="complete", status_code=200))
    captures.finish(10)
    told = capture_files.read(place / "run-1" / f"{opening.call_id}.json.zst")["response"]
    texts = [json.loads(line)["chunk"]["delta"]["text"] for line in told["body"].splitlines()]
    assert texts == ["it is [redacted]", "", "."]
    assert "cut" not in told


def test_bytes_that_are_no_text(place: Path) -> None:
    path, _ = keep(place, answered=b"\xff\xfe\x00")
    assert base64.b64decode(capture_files.read(path)["response"]["body_base64"]) == b"\xff\xfe\x00"


def test_what_cannot_be_decoded_is_not_kept(place: Path) -> None:
    path, _ = keep(place, answered=b"key-0123456789", encoding="gzip")
    told = capture_files.read(path)["response"]
    assert told == {"content_type": "text/plain", "bytes": 14, "unreadable": "gzip"}


def test_long_bodies_are_cut(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "LONGEST", 4)
    path, _ = keep(place, answered=b"12345678")
    assert capture_files.read(path)["response"]["cut"] is True


def test_bodies_that_inflate_are_cut(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "LONGEST", 100_000)
    path, _ = keep(place, answered=gzip.compress(bytes(50_000_000)), encoding="gzip")
    told = capture_files.read(path)["response"]
    assert told["cut"] is True
    assert len(told["body"]) <= 100_000


def test_memory_is_bounded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "HELD", 10)
    captures = Captures(place, "run-1", 7)
    calls = [captures.open(start(), {}) for _ in range(3)]
    for call in calls:
        call.asked(b"1234")
    assert [call.request.cut for call in calls] == [False, False, True]
    for call in calls:
        call.close(CallEnd(ended_ns=1, outcome="complete"))
    captures.finish(10)
    assert captures._held == 0


def test_a_disk_that_takes_nothing_is_said_once(place: Path) -> None:
    place.write_text("a file where the directory should be")
    opening = start()
    captures = Captures(place, "run-1", 7)
    for _ in range(3):
        call = captures.open(opening, {})
        call.asked(b"{}")
        call.close(CallEnd(ended_ns=1, outcome="complete"))
    assert captures.finish(10) == ("3 calls were not captured: File exists",)


def test_old_captures_go(place: Path) -> None:
    path, _ = keep(place)
    old, _ = keep(place, opening=start(call_id="00000000-0000-7000-8000-000000000000"))
    os.utime(old, (1000, 1000))
    assert capture_files.prune(place, 7, keep="run-1") == 1
    assert (old.exists(), path.exists()) == (False, True)
    assert capture_files.prune(place, 0) == 1
    assert list(place.iterdir()) == []


def test_what_a_killed_writer_left_goes_too(place: Path) -> None:
    """It holds a call as any capture does, and would keep its run's directory for ever."""
    path, _ = keep(place)
    left, written = path.with_name("a.json.part"), path.with_name("b.json.part")
    for part in (left, written):
        part.write_bytes(b"half")
    an_hour_ago = path.stat().st_mtime - 3601
    os.utime(left, (an_hour_ago, an_hour_ago))
    assert capture_files.prune(place, 7) == 0
    assert (left.exists(), written.exists()) == (False, True)
    assert capture_files.prune(place, 0) == 1
    assert list(place.iterdir()) == []


def test_too_many_captures_go_the_oldest_first(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = keep(place)
    older, _ = keep(place, opening=start(call_id="00000000-0000-7000-8000-000000000000"))
    os.utime(older, (path.stat().st_mtime - 60,) * 2)
    monkeypatch.setattr(capture_files, "MOST", path.stat().st_size)
    assert capture_files.prune(place, 7) == 1
    assert (older.exists(), path.exists()) == (False, True)


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "x.json.zst"
    path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="Unknown frame descriptor"):
        capture_files.read(path)
