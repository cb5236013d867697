"""A place of its own for one user: home, state, ledger; and the means to run commands in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

REPO = Path(__file__).resolve().parents[2]
MODEL = "claude-opus-5-5"
BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Say hello."}],
}
Row = dict[str, Any]


class Bench:
    """One user's machine, as far as tokenproxy sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = root / "provider_usage.jsonl"
        self.work = root / "work"
        self.work.mkdir()
        self.state = root / "state"
        self.env: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TOKENPROXY_STATE_DIR": str(self.state),
            "TOKENPROXY_LEDGER": str(self.ledger),
            "PYTHONPATH": str(REPO),
        }

    def argv(self, *words: str) -> list[str]:
        """``tokenproxy`` with these words."""
        return [sys.executable, "-m", "tokenproxy", *words]

    def tokenproxy(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``tokenproxy`` to its end."""
        return subprocess.run(
            self.argv(*words),
            env={**self.env, **(env or {})},
            cwd=self.work,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start ``tokenproxy`` and return at once."""
        return subprocess.Popen(
            self.argv(*words),
            env={**self.env, **(env or {})},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def rows(self) -> list[Row]:
        """The ledger, read by a strict JSON parser; every line must be whole."""
        if not self.ledger.exists():
            return []
        text = self.ledger.read_text(encoding="utf-8")
        assert text == "" or text.endswith("\n")
        return [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]

    def journals(self) -> list[Path]:
        """Journals that nobody has closed yet."""
        return sorted(self.state.glob("runs/*/journal-*"))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def curl(url: str, *options: str, stream: bool = True, body: object = None) -> list[str]:
    """A curl command that posts a Messages request and prints the answer's body."""
    data = json.dumps({**BODY, "stream": stream} if body is None else body)
    return ["curl", "-sS", "-N", "-H", "content-type: application/json", *options, "-d", data, url]


def reverse_curl(*options: str, stream: bool = True) -> list[str]:
    """The same as a shell line that finds the base URL in its environment."""
    words = curl("$ANTHROPIC_BASE_URL/v1/messages", *options, stream=stream)
    quoted = [word if word.startswith("$") else f"'{word}'" for word in words]
    return ["sh", "-c", " ".join(quoted)]


def proxy_of(launcher: subprocess.Popen[bytes], timeout_s: float = 10) -> psutil.Process:
    """The proxy process of a running ``tokenproxy run``."""
    return child_of(launcher, lambda line: "tokenproxy.proxy" in line, timeout_s)


def child_of(
    launcher: subprocess.Popen[bytes], wanted: Callable[[str], bool], timeout_s: float = 10
) -> psutil.Process:
    """The child of a running ``tokenproxy run`` whose command line is ``wanted``."""
    parent = psutil.Process(launcher.pid)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for child in parent.children():
            try:
                if wanted(" ".join(child.cmdline())):
                    return child
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)
    raise AssertionError("no such child")


def wait_until(condition: Callable[[], object], timeout_s: float = 10, what: str = "") -> None:
    """Return once ``condition`` holds; fail the test if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what or "not in time"
        time.sleep(0.01)


def total(rows: Sequence[Row], key: str) -> int:
    """Sum of a column; an absent value is nothing."""
    return sum(row.get(key, 0) for row in rows)
