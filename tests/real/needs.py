"""What a real-client test needs, and what to do where it is missing.

In CI a missing program is a failure: a skipped test would pass for a proof.
Elsewhere it is a skip that says how to get it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def require(found: Path | str | None, what: str, how: str = "run scripts/install-clients") -> Path:
    """The path, or a failure in CI and a skip elsewhere."""
    if found is not None and Path(found).exists():
        return Path(found)
    sentence = f"{what} is missing: {how}"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str) -> Path:
    """A program on PATH (tmux, vim, less, curl)."""
    return require(shutil.which(name), name)


def language(name: str) -> Path:
    """A language's own program on PATH (node, go, cargo, java)."""
    found = shutil.which(name)
    if name == "cargo" and found is not None:
        # rustup puts a program of that name on PATH that may have no toolchain to run.
        works = subprocess.run([found, "--version"], capture_output=True, check=False)
        found = found if works.returncode == 0 else None
    return require(found, name, "install it")


def claude_cli() -> Path:
    """The Claude CLI."""
    return cli("claude")


def cli(name: str) -> Path:
    """A CLI or JavaScript runtime from npm, by its name in scripts/clients/pins."""
    return _installed("npm", name, f"node_modules/.bin/{name}")


def python_of(name: str) -> Path:
    """The Python of the virtual environment that holds an SDK."""
    return _installed("pip", name, "bin/python")


def npm_packages(name: str) -> Path:
    """The directory of packages from npm, for NODE_PATH."""
    return _installed("npm", name, "node_modules")


def crate(name: str) -> Path:
    """The directory in which a program is built with a Rust library."""
    return _installed("cargo", name, "Cargo.toml").parent


def litellm_prices() -> Path:
    """LiteLLM's table of prices."""
    name = "model_prices_and_context_window_backup.json"
    return _installed("wheel", "litellm", f"litellm/{name}")


def backend(manager: str, name: str, inside: str) -> Path:
    """A file of what scripts/clients/stack names."""
    return _installed(manager, name, inside, pins="stack")


def cache() -> Path:
    """What is kept outside the tree from one run of the tests to the next."""
    if named := os.environ.get("TOKENPROXY_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tokenproxy-dev"


def _installed(manager: str, name: str, inside: str, *, pins: str = "pins") -> Path:
    """A file in what scripts/install-clients has put into the cache, whole and as pinned."""
    text = (ROOT / "scripts" / "clients" / pins).read_text()
    lines = (line.split(maxsplit=2) for line in text.splitlines())
    pinned = {(line[0], line[1]): line[2].split() for line in lines if len(line) == 3}
    directory = cache() / manager / name
    whole = directory / ".whole"
    fit = whole.exists() and whole.read_text().split() == pinned[manager, name]
    how = "run scripts/install-clients" + (f" {pins}" if pins != "pins" else "")
    return require(directory / inside if fit else None, name, how)
