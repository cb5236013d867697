from __future__ import annotations

import os
from pathlib import Path

import pytest

import tokenproxy
from tokenproxy.launch import proven


def test_it_is_remembered_and_forgotten(tmp_path: Path) -> None:
    marker = proven.marker(tmp_path, ["python"])
    assert not marker.exists()
    proven.remember(marker)
    assert marker.exists()
    assert proven.marker(tmp_path, ["python"]) == marker
    proven.forget(marker)
    proven.forget(marker)
    assert not marker.exists()


def test_another_installation_is_not_proven_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = proven.marker(tmp_path, ["python"])
    assert proven.marker(tmp_path, ["other-python"]) != first
    monkeypatch.setattr(tokenproxy, "__version__", "99")
    assert proven.marker(tmp_path, ["python"]) != first


def test_another_mitmproxy_is_not_proven_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "mitmproxy.py"
    package.touch()

    class Spec:
        origin = str(package)

    monkeypatch.setattr(proven, "find_spec", lambda _name: Spec)
    first = proven.marker(tmp_path, ["python"])
    os.utime(package, (1, 1))
    assert proven.marker(tmp_path, ["python"]) != first
    package.unlink()
    assert proven.marker(tmp_path, ["python"]) != first
    monkeypatch.setattr(proven, "find_spec", lambda _name: None)
    assert proven.marker(tmp_path, ["python"]) != first


def test_a_state_directory_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    proven.remember(proven.marker(tmp_path / "none", ["python"]))
    proven.forget(Path("/dev/null/marker"))
