"""A second user account of this machine, made for a test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.real.needs import require


@dataclass(frozen=True)
class Stranger:
    """An account that has nothing to do with whoever runs the tests."""

    name: str
    uid: int

    def words(self, *words: str, env: Mapping[str, str] | None = None) -> list[str]:
        """A command line that runs ``words`` as this user, in an environment of its own."""
        path = f"PATH={os.environ['PATH']}:/usr/bin:/bin:/usr/sbin:/sbin"
        assigned = [f"{name}={value}" for name, value in (env or {}).items()]
        clean = ["env", "-i", path, *assigned, *words]
        if os.geteuid() == 0:
            return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups",
                    "--", *clean]  # fmt: skip
        return ["sudo", "-n", "-u", self.name, "--", *clean]

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``words`` as this user."""
        return subprocess.run(
            self.words(*words, env=env), input=stdin, capture_output=True, cwd="/",
            timeout=60, check=False,
        )  # fmt: skip


@contextmanager
def made() -> Iterator[Stranger]:
    """An account, until the block ends."""
    name = f"tp-{secrets.token_hex(4)}"
    _as_root("useradd", "--no-create-home", "--user-group", "--shell", "/bin/sh", name)
    try:
        uid = pwd.getpwnam(name).pw_uid
        yield Stranger(name, uid)
    finally:
        _as_root("userdel", name)


def _as_root(*words: str) -> None:
    require(shutil.which(words[0]) or f"/usr/sbin/{words[0]}", words[0], "install passwd")
    subprocess.run([*_sudo(), *words], check=True, capture_output=True, timeout=30)


def _sudo() -> Sequence[str]:
    if os.geteuid() == 0:
        return ()
    able = (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
    )
    require("/" if able else None, "root", "run these tests as root or with sudo")
    return ("sudo", "-n")


@pytest.fixture(scope="session")
def stranger() -> Iterator[Stranger]:
    """A second user account."""
    with made() as account:
        yield account
