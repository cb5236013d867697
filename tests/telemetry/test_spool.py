"""What is kept: whole, for its owner alone, bounded, in order."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tokenproxy.telemetry import spool as module
from tokenproxy.telemetry.otlp.json_form import to_protobuf
from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.spans import SpanWriter
from tokenproxy.telemetry.span import Span
from tokenproxy.telemetry.spool import Spool, entries


def request(name: str = "a") -> bytes:
    span = Span(
        name=name, kind="client", trace_id="a" * 32, span_id="b" * 16, parent=None,
        start_ns=1, end_ns=2, attributes={"n": 1},
    )  # fmt: skip
    return Frame({}, "n", "1", "url").request([SpanWriter().write(span)])


def test_a_request_is_a_line_for_its_owner_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool")
    assert spool.keep("traces", request())
    [entry] = entries(spool.directory)
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.directory.parent.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600
    text = entry.path.read_bytes()
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    span = json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert (span["traceId"], span["startTimeUnixNano"]) == ("a" * 32, "1")
    assert to_protobuf("traces", text) == request()
    assert spool.sentences == ()


def test_the_oldest_make_room(tmp_path: Path) -> None:
    size = len(request("00"))
    Spool(tmp_path).keep("traces", request("00"))
    one = entries(tmp_path)[0].path.stat().st_size
    spool = Spool(tmp_path, largest=3 * one)
    for number in range(1, 8):
        assert spool.keep("traces", request(f"{number:02}"))
    assert len(request("07")) == size
    kept = [to_protobuf("traces", entry.path.read_bytes()) for entry in entries(tmp_path)]
    assert kept == [request("05"), request("06"), request("07")]
    assert spool.dropped == 5
    assert "the 5 oldest requests" in spool.sentences[0]


def test_one_that_is_larger_than_all_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, largest=10)
    assert spool.keep("traces", request("x" * 100))
    assert len(entries(tmp_path)) == 1


def test_a_directory_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file")
    assert not spool.keep("traces", request())
    [sentence] = spool.sentences
    assert sentence.startswith(f"telemetry: it cannot be kept in {tmp_path}/file: ")


def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    spool = Spool(tmp_path)
    assert not spool.keep("traces", request())
    assert list(tmp_path.iterdir()) == []
    assert "No space left on device" in spool.sentences[0]


def test_what_is_no_request_is_not_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert not spool.keep("metrics", b"\x0b")
    assert entries(tmp_path) == []


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        spool = Spool(tmp_path)
        for each in range(25):
            assert spool.keep("traces", request(f"{number}/{each}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {to_protobuf("traces", entry.path.read_bytes()) for entry in entries(tmp_path)}
    assert found == {request(f"{number}/{each}") for number in range(4) for each in range(25)}


WRITES = """
import pathlib, sys
from tests.telemetry.test_spool import request
from tokenproxy.telemetry.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]))
number = 0
while True:
    assert spool.keep("traces", request(str(number)))
    number += 1
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_requests(tmp_path: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITES, tmp_path], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(30):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        told = int(rest[-1]) if rest else 30
        mine = [entry for entry in entries(tmp_path) if f"-{writer.pid}-" in entry.name]
        assert len(mine) in (told, told + 1)
        for entry in mine:
            to_protobuf("traces", entry.path.read_bytes())


def test_what_killed_writers_left_is_removed_in_time(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.json.writing", tmp_path / ".b.json.writing"
    other = tmp_path / ".writing.txt"
    for path in (old, new, other):
        path.write_text("x")
    os.utime(old, (time.time() - 4000,) * 2)
    module.forget_unwritten(tmp_path)
    assert sorted(tmp_path.iterdir()) == [new, other]


def test_other_files_are_nobodys(tmp_path: Path) -> None:
    for name in ("notes.json", "1-2-3.traces.json", "1" * 19 + "-1-1.logs.json", ".x.writing"):
        (tmp_path / name).write_text("x")
    assert entries(tmp_path) == []


def test_preparing_leaves_nothing(tmp_path: Path) -> None:
    module.prepare(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        module.prepare(tmp_path / "file")
