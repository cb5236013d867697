"""What a real-client test needs, and what to do where it is missing.

In CI a missing program is a failure: a skipped test would pass for a proof.
Elsewhere it is a skip that says how to get it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def require(found: Path | str | None, what: str) -> Path:
    """The path, or a failure in CI and a skip elsewhere."""
    if found is not None and Path(found).exists():
        return Path(found)
    sentence = f"{what} is missing: run scripts/install-clients"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str) -> Path:
    """A program on PATH (tmux, vim, less, curl)."""
    return require(shutil.which(name), name)


def claude_version() -> str:
    """The version of the Claude CLI that the tests are written against."""
    script = (ROOT / "scripts" / "install-clients").read_text()
    pinned = re.search(r"^CLAUDE_VERSION=(\S+)$", script, re.MULTILINE)
    assert pinned is not None
    return pinned[1]


def claude_cli() -> Path:
    """The pinned Claude CLI from npm, in the cache that scripts/install-clients fills."""
    base = os.environ.get("TOKENPROXY_CACHE")
    if not base:
        home_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        base = str(Path(home_cache) / "tokenproxy-dev")
    prefix = Path(base) / "npm" / f"claude-{claude_version()}"
    return require(prefix / "node_modules" / ".bin" / "claude", "the Claude CLI")
