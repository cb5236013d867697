"""Both ways through the proxy, for tests that hold for either."""

from __future__ import annotations

import pytest

from tests.proxy.harness import Proxy


@pytest.fixture(params=[True, False], ids=["lane", "mitmproxy"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every proxy of the test goes this way, where the lane could take it; True: the lane."""
    monkeypatch.setattr(Proxy, "lane", request.param)
    return bool(request.param)
