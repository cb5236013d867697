"""Fixtures of the security tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.security.stranger import stranger

__all__ = ["stranger"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A user's place that others can reach: no directory above it helps."""
    root = Path(tempfile.mkdtemp(prefix="tokenproxy-security-"))
    root.chmod(0o755)
    try:
        yield Bench(root)
    finally:
        shutil.rmtree(root)
