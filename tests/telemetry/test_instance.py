"""Stable ids, one a living process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tokenproxy.telemetry.instance import claim


def test_the_same_from_run_to_run(tmp_path: Path) -> None:
    first = claim(tmp_path)
    first.release()
    second = claim(tmp_path)
    assert first.id == second.id
    second.release()
    second.release()


def test_never_two_at_a_time(tmp_path: Path) -> None:
    held = [claim(tmp_path) for _ in range(4)]
    assert len({instance.id for instance in held}) == 4
    freed = held.pop(1)
    freed.release()
    again = claim(tmp_path)
    assert again.id == freed.id
    for instance in (*held, again):
        instance.release()


def test_another_kind_of_sender_has_ids_of_its_own(tmp_path: Path) -> None:
    held = [claim(tmp_path), claim(tmp_path, "client"), claim(tmp_path, "client")]
    assert len({instance.id for instance in held}) == 3
    for instance in held:
        instance.release()
    again = claim(tmp_path, "client")
    assert again.id == held[1].id
    again.release()


def test_a_process_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, pathlib\n"
        "from tokenproxy.telemetry.instance import claim\n"
        f"print(claim(pathlib.Path({str(tmp_path)!r})).id, flush=True)\n"
        "os._exit(9)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    mine = claim(tmp_path)
    assert mine.id == ended.stdout.strip()
    mine.release()


def test_where_nothing_can_be_locked_the_id_is_its_own(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert claim(blocked / "telemetry").id != claim(blocked / "telemetry").id
    assert claim(None).id != claim(None).id
