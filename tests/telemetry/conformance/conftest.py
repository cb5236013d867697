"""The captures that the conformance tests share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.telemetry.conformance.capture import PROTOCOLS, Capture, once


@pytest.fixture(scope="session")
def captures(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str = "master"
) -> dict[str, Capture]:
    """What was sent, by dialect: both at once, each once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "conformance"
    with ThreadPoolExecutor() as pool:
        return dict(zip(PROTOCOLS, pool.map(partial(once, base=shared), PROTOCOLS), strict=True))
