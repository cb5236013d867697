"""One proxy a way and a module, with one account: each test looks at the rows that it added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.faults.network.scene import Account, Upstream, accounted


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "mitmproxy"])
def account(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    with (
        Upstream() as upstream,
        accounted(tmp_path_factory.mktemp("account"), upstream, lane=request.param) as standing,
    ):
        yield standing


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def _anew(request: pytest.FixtureRequest) -> None:
    """A test that failed, and whose rows came late, is no reason for the next one to fail."""
    if "account" in request.fixturenames:
        request.getfixturevalue("account").forget()
