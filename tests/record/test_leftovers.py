"""Directories of dead runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.record.make import RUN, names
from tokenproxy.launch.run_dir import RunDir
from tokenproxy.record import journal
from tokenproxy.record.ledger import Mark
from tokenproxy.record.leftovers import KEEP_LOG_S, abandoned, tidy


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    place.mkdir()
    return place


def dead(runs: Path, *names: str) -> Path:
    place = runs / "dead"
    place.mkdir()
    for name in names:
        (place / name).write_text("x")
    return place


def test_certificates_and_badges_of_a_dead_run_go(runs: Path) -> None:
    place = dead(runs, "extra.pem", "bundle.pem", "journal-0.badge")
    tidy(runs)
    assert not place.exists()


def test_a_log_is_kept_for_a_week(runs: Path) -> None:
    place = dead(runs, "extra.pem", "proxy.log")
    tidy(runs)
    assert [path.name for path in place.iterdir()] == ["proxy.log"]
    old = time.time() - KEEP_LOG_S - 1
    os.utime(place / "proxy.log", (old, old))
    tidy(runs)
    assert not place.exists()


def test_an_empty_log_goes_at_once(runs: Path) -> None:
    place = dead(runs, "proxy.log")
    (place / "proxy.log").write_text("")
    tidy(runs)
    assert not place.exists()


def test_a_journal_that_was_being_rewritten_goes(tmp_path: Path) -> None:
    """Killed in between: a file of whatever name the rewriting gives it, and the journal."""
    place = tmp_path / "runs" / "dead"
    header = journal.Header(run=RUN, ledger="ledger", mark=Mark())
    owner = journal.Journal(place / "journal-0.jsonl", header)
    for _ in range(2):
        _, fd = journal._create_owned(owner.path.with_name(f"{owner.path.name}.new"))
        os.close(fd)
    owner.close(settled=True)
    assert len(names(place)) == 2
    tidy(tmp_path / "runs")
    assert not place.exists()


def test_nothing_goes_while_a_journal_is_there(runs: Path) -> None:
    place = dead(runs, "extra.pem", "journal-0.jsonl")
    tidy(runs)
    assert (place / "extra.pem").exists()


def test_a_living_runs_directory_is_left_alone(tmp_path: Path) -> None:
    living = RunDir(tmp_path, "alive")
    (living.path / "extra.pem").write_text("x")
    tidy(tmp_path / "runs")
    assert (living.path / "extra.pem").exists()
    living.close(keep_log=False)
    assert not living.path.exists()


def test_a_run_whose_proxy_is_being_replaced_is_not_abandoned(tmp_path: Path) -> None:
    living = RunDir(tmp_path, "alive")
    assert not abandoned(living.path)
    living.close(keep_log=False)
    assert abandoned(living.path)


def test_a_run_with_a_journal_is_not_abandoned(runs: Path) -> None:
    assert not abandoned(dead(runs, "journal-1.jsonl"))


def test_what_is_no_directory_is_left_alone(runs: Path) -> None:
    (runs / "file").write_text("x")
    tidy(runs)
    assert (runs / "file").exists()
    tidy(runs / "missing")
