"""Tests with real clients."""

import pytest

pytest.register_assert_rewrite("tests.real.reported")  # so that its failures say what differs
