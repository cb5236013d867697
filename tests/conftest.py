"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

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
