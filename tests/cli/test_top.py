from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import Row, row, write

SOON_S = 60.0


def now(**changes: Any) -> Row:
    return row(timestamp=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z", **changes)


def test_plain_where_nobody_looks(cli: Cli, ledger: Path) -> None:
    write(ledger, [now()])
    for words in ([], ["--once"]):
        ended = cli("top", "--ledger", str(ledger), *words)
        assert (ended.status, ended.err) == (0, "")
        assert re.search(r"claude-opus-5-5 +1 +17\.1k +55 +\$0\.0145", ended.out)
        assert "\x1b" not in ended.out


def test_json(cli: Cli, ledger: Path) -> None:
    write(ledger, [now()])
    made = json.loads(cli("top", "--json", "--ledger", str(ledger)).out)
    assert (made["schema"], made["total"]["calls"]) == ("tokenproxy.top/1", 1)


def test_a_ledger_that_is_none(cli: Cli, tmp_path: Path) -> None:
    assert cli("top", "--ledger", str(tmp_path)).status == 2


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_on_a_terminal_it_follows_the_ledger_until_a_key(ledger: Path, key: bytes) -> None:
    write(ledger, [now()])
    ours, theirs = pty.openpty()
    # Ctrl-C is a signal only to who has the terminal for its own.
    code = (
        "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    words = [sys.executable, "-m", "tokenproxy", "top", "--ledger", str(ledger)]
    env = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words[1:]], stdin=theirs, stdout=theirs, stderr=theirs,
        env=env,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            seen = until(ours, b"claude-opus-5-5")
            assert b"\x1b[?1049h" in seen
            with ledger.open("ab") as file:
                file.write(json.dumps(now(call_id="later", model="another")).encode() + b"\n")
            until(ours, b"another")
            os.write(ours, key)
            until(ours, b"\x1b[?1049l")
            assert process.wait(SOON_S) == (0 if key == b"q" else 130)
        finally:
            process.kill()
            os.close(ours)


def until(fd: int, wanted: bytes) -> bytes:
    """What the terminal shows up to something."""
    seen = b""
    deadline = time.monotonic() + SOON_S
    while wanted not in seen:
        assert select.select([fd], [], [], max(deadline - time.monotonic(), 0))[0], seen[-500:]
        seen += os.read(fd, 65_536)
    return seen
