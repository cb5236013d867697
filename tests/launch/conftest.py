from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch.harness import Launch


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Launch]:
    def make(*behaviour: str, **options: object) -> Launch:
        return Launch(tmp_path, behaviour, **options)

    return make
