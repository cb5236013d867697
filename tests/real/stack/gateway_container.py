"""A running container of the image, with calls that are made through it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.bench import curl
from tests.real.stack.engine import Engine, limits

HARDENED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all")
"""No file but the volume's can be written, not even /tmp's, and root would be no root."""


class GatewayContainer:
    """One container that serves."""

    def __init__(self, engine: Engine, name: str, said: list[str]) -> None:
        self._engine = engine
        self._name = name
        self.said = said
        """What it said until it was ready."""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command beside the gateway, in the container."""
        return self._engine("exec", self._name, *words, check=False)

    def is_healthy(self) -> bool:
        """What the image's own check says."""
        return self._engine("healthcheck", "run", self._name, check=False).returncode == 0

    def stop(self) -> int:
        """End it as ``docker stop`` does: its stop signal, and its exit status."""
        self._engine("stop", "--time=60", self._name)
        return int(self._engine("inspect", "--format={{.State.ExitCode}}", self._name).stdout)

    def kill(self) -> None:
        """End it as a machine's failure does."""
        self._engine("kill", "--signal=KILL", self._name)

    def log(self) -> str:
        """All that it said."""
        told = self._engine("logs", self._name)
        return told.stdout + told.stderr


@contextmanager
def serving(engine: Engine, image: str, *options: str) -> Iterator[GatewayContainer]:
    """The image's own command, hardened, and ready to serve."""
    name = "gateway"
    words = ("--detach", f"--name={name}", "--security-opt=no-new-privileges", *HARDENED)
    engine("run", *words, *limits(), *options, image)
    logs = engine.argv("logs", "--follow", name)
    try:
        with subprocess.Popen(
            logs, env=engine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as follow:
            assert follow.stdout is not None
            said = [follow.stdout.readline() for _ in range(3)]  # at its end it says ""
            follow.terminate()
        assert "listening on" in said[0], said
        yield GatewayContainer(engine, name, said)
    finally:
        engine("rm", "--force", "--time=0", name, check=False)


def call(url: str) -> list[str]:
    """A curl command that calls a model through the gateway at ``url``."""
    return curl(f"{url}/anthropic/v1/messages")


def rows(engine: Engine, image: str, volume: str, *user: str) -> list[dict[str, Any]]:
    """The ledger in a volume, read by another container; every line must be whole.

    Args:
        engine: Runs it.
        image: Has ``cat``.
        volume: An option that mounts it.
        user: An option that says whose the ledger is: nobody else can read it.
    """
    words = ("--rm", "--network=none", *HARDENED, *limits(), volume, *user, "--entrypoint=cat")
    text = engine("run", *words, image, "provider_usage.jsonl").stdout
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
