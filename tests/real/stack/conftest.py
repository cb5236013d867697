"""Fixtures of the tests with the real backends; all of them carry the ``stack`` mark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.stack.stack import Stack
from tests.real.stack.table import Table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own, so that its sums are of this test alone."""
    directory = tmp_path / "stack"
    directory.mkdir()
    with Stack(directory) as running:
        yield running


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Iterator[list[Table]]:
    """Tables to print when all tests have run, whichever process ran this one."""
    made: list[Table] = []
    yield made
    request.node.user_properties.extend((TABLE, table.text()) for table in made)


TABLE = "table"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                for name, text in report.user_properties:
                    if name == TABLE:
                        terminalreporter.write_line("")
                        terminalreporter.write_line(text)
