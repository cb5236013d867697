"""Marks of standing gateways, as runs that go through them find them."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.harness import ROOT
from tokenproxy.launch.gateways import Registration, behind
from tokenproxy.launch.plan import Plan, make_plan


def planned(state: Path, **env: str) -> Plan:
    return behind(make_plan("auto", env, {}), state)


@pytest.mark.parametrize(
    ("bound", "named"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
    ],
)
def test_a_gateway_is_known_by_where_it_listens(tmp_path: Path, bound: str, named: str) -> None:
    here = Registration(tmp_path, bound, 4040)
    assert re.fullmatch(r"run-[0-9a-f]{32}", here.mark)
    plan = planned(
        tmp_path,
        HTTPS_PROXY=f"http://{named}:4040",
        ANTHROPIC_BASE_URL=f"http://{named}:4040/anthropic",
        OPENAI_BASE_URL=f"http://a:b@{named}:4040/~token/deepseek/v1",
        MISTRAL_BASE_URL=f"http://{named}:4041/mistral",
    )
    assert plan.proxy_mark == here.mark
    mark = f"/~{here.mark}"
    assert plan.upstreams["anthropic"] == f"http://{named}:4040{mark}/anthropic"
    assert plan.upstreams["openai"] == f"http://a:b@{named}:4040/~token{mark}/deepseek/v1"
    assert plan.leads == {"anthropic": "anthropic", "openai": "deepseek"}
    here.close()
    assert planned(tmp_path, HTTPS_PROXY=f"http://{named}:4040").proxy_mark is None


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:4040",  # another machine's port of the same number
        "http://gateway.example:4040",
        "https://127.0.0.1:4040",
        "http://127.0.0.2:4040",
        "http://127.0.0.1:4041",
        "http://127.0.0.1",
    ],
)
def test_no_other_is(tmp_path: Path, url: str) -> None:
    here = Registration(tmp_path, "127.0.0.1", 4040)
    assert planned(tmp_path, HTTPS_PROXY=url).proxy_mark is None
    here.close()


def test_the_mark_is_the_users_alone_and_new_each_time(tmp_path: Path) -> None:
    first = Registration(tmp_path, "127.0.0.1", 4040)
    (note,) = (tmp_path / "gateways").iterdir()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(note.parent.stat().st_mode) == 0o700
    first.close()
    assert list((tmp_path / "gateways").iterdir()) == []
    second = Registration(tmp_path, "127.0.0.1", 4040)
    assert second.mark != first.mark
    second.close()


def test_one_that_was_killed_has_no_mark(tmp_path: Path) -> None:
    """Who listens on its port now must not be shown what its runs showed."""
    code = (
        "import sys, time, pathlib\n"
        "from tokenproxy.launch.gateways import Registration\n"
        "here = Registration(pathlib.Path(sys.argv[1]), '127.0.0.1', 4040)\n"
        "print(here.mark, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert process.stdout is not None
    mark = process.stdout.readline().strip()
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark == mark
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    (left,) = (tmp_path / "gateways").iterdir()
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark is None
    elsewhere = Registration(tmp_path, "127.0.0.1", 4041)
    assert not left.exists(), "nobody may ever come to that port again"
    again = Registration(tmp_path, "127.0.0.1", 4040)
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark == again.mark
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4041").proxy_mark == elsewhere.mark
    again.close()
    elsewhere.close()


def test_where_no_note_can_be_left_nothing_else_fails(tmp_path: Path) -> None:
    (tmp_path / "gateways").write_text("in the way")
    here = Registration(tmp_path, "127.0.0.1", 4040)
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark is None
    here.close()


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    here = Registration(tmp_path, "127.0.0.1", 4040)
    (note,) = (tmp_path / "gateways").iterdir()
    for text in (b"", b"{", b"[]", b'{"mark": 3}', b"\xff"):
        note.write_bytes(text)
        assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark is None
    here.close()


def test_a_note_that_is_tidied_away_at_its_birth_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied: list[Path] = []
    lock = fcntl.flock

    def first_tidied(fd: int, how: int) -> None:
        if not tidied:
            (file,) = (tmp_path / "gateways").iterdir()
            file.unlink()
            tidied.append(file)
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", first_tidied)
    here = Registration(tmp_path, "127.0.0.1", 4040)
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark == here.mark
    here.close()
    assert len(tidied) == 1


def test_two_containers_may_share_a_state_directory_and_have_the_same_port(tmp_path: Path) -> None:
    """The second serves all the same; it used to wait for the first one's end."""
    one = Registration(tmp_path, "0.0.0.0", 4040)
    code = (
        "import sys, pathlib\n"
        "from tokenproxy.launch.gateways import Registration\n"
        "Registration(pathlib.Path(sys.argv[1]), '0.0.0.0', 4040).close()"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
        check=True,
    )
    assert planned(tmp_path, HTTPS_PROXY="http://127.0.0.1:4040").proxy_mark == one.mark
    one.close()
