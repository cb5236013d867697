"""Fixtures of the tests with real clients; all of them carry the ``real`` mark.

Those with real backends carry ``stack`` instead: they need more, and are run by themselves.
"""

from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.real import needs

CLIENT_ENV = {
    "ANTHROPIC_API_KEY": "sk-ant-test-000",
    "IS_SANDBOX": "1",  # lets the CLI skip its permission prompts as root
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and here / "stack" not in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.env.update(CLIENT_ENV)
    return made


@pytest.fixture(scope="session")
def claude() -> str:
    return str(needs.claude_cli())
