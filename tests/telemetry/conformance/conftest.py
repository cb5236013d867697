"""The captures that the conformance tests share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.telemetry.conformance.capture import PROTOCOLS, Capture, once


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Capture]:
    """What was sent, by dialect: both at once, each once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = (base if alone else base.parent) / "conformance"
    with ThreadPoolExecutor() as pool:
        return dict(zip(PROTOCOLS, pool.map(partial(once, base=shared), PROTOCOLS), strict=True))
