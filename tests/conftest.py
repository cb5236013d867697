"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.leftovers import Leftovers

# The suite's own depth is for every run; HYPOTHESIS_PROFILE=ci-long digs for hours' worth.
settings.register_profile("default", max_examples=50, deadline=None)
settings.register_profile(
    "ci-long",
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "framings",  # for tests/wire/test_framings.py: every framing to the same depth
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Prices of whoever runs the tests are not theirs.
os.environ["TOKENPROXY_CONFIG"] = os.devnull


@pytest.fixture(scope="session")
def _leftovers() -> Leftovers:
    return Leftovers()


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest, _leftovers: Leftovers) -> Iterator[None]:
    """Threads and descriptors of a test and its own fixtures; those of several last longer."""
    _leftovers.begin()
    yield
    _leftovers.end(request.node.nodeid)
