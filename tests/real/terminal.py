"""A terminal that a test can type into and read: tmux on a socket of its own."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real import needs

PROMPT = "ready>"


class Terminal:
    """``with Terminal(dir, env) as term:`` is an interactive bash of 100 by 30."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._tmux = [str(needs.program("tmux")), "-S", str(directory / "tmux"), "-f", "/dev/null"]
        self._directory = directory
        self._env = dict(env)

    def __enter__(self) -> Self:
        self._call(
            "new-session", "-d", "-x", "100", "-y", "30", "-c", str(self._directory),
            "env", "-i", *(f"{name}={value}" for name, value in self._env.items()),
            f"PS1={PROMPT} ", "bash", "--norc", "--noprofile", "-i",
        )  # fmt: skip
        self.wait_prompt()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call("kill-server", check=False)

    def _call(self, *words: str, check: bool = True) -> str:
        return subprocess.run(
            [*self._tmux, *words], check=check, capture_output=True, text=True, timeout=20
        ).stdout

    def type(self, text: str, *, enter: bool = True) -> None:
        """Type ``text`` literally, and Enter."""
        self._call("send-keys", "-l", text)
        if enter:
            self._call("send-keys", "Enter")

    def run(self, words: Sequence[str]) -> None:
        """Type a command line."""
        self.type(shlex.join(words))

    def key(self, name: str) -> None:
        """Press a key by tmux's name for it (``C-c``, ``Escape``)."""
        self._call("send-keys", name)

    def resize(self, columns: int, lines: int) -> None:
        """Change the terminal's size."""
        self._call("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        """What is to be seen."""
        return self._call("capture-pane", "-p")

    def wait_for(self, text: str, timeout_s: float = 20.0) -> str:
        """The screen once ``text`` is on it; fails the test if it does not come."""
        return self._wait(lambda screen: text in screen, text, timeout_s)

    def resume(self, text: str) -> str:
        """Type ``fg``; the screen once the program has drawn ``text`` anew."""
        self.type("fg")
        return self._wait(
            lambda screen: text in screen.rpartition(f"{PROMPT} fg")[2], f"{text} after fg", 20
        )

    def wait_gone(self, text: str, timeout_s: float = 20.0) -> str:
        """The screen once ``text`` has left it."""
        return self._wait(lambda screen: text not in screen, f"no {text}", timeout_s)

    def wait_prompt(self) -> str:
        """The screen once the shell has the terminal back."""
        return self._wait(lambda s: s.rstrip().split("\n")[-1].strip() == PROMPT, PROMPT, 20)

    def _wait(self, condition: Callable[[str], bool], what: str, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline, f"{what!r} did not come:\n{screen}"
            time.sleep(0.05)
        return screen

    def status_of_last(self) -> int:
        """The shell's ``$?``."""
        self.type("echo status=$?.")
        screen = self._wait(lambda s: "status=" in s.replace("status=$?", ""), "status", 10)
        found = [line for line in screen.splitlines() if line.startswith("status=")]
        return int(found[-1].removeprefix("status=").rstrip("."))
