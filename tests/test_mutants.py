"""The table of mutants fits the code: each can be made, and no trap is without one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import ROOT
from tests.mutations import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.trap} {mutant.rule}")
def test_a_mutant_can_be_made(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    assert source.count(mutant.old) == 1
    assert ast.dump(ast.parse(mutant.applied_to(source))) != ast.dump(ast.parse(source))
    assert f"def {mutant.selected}" in (ROOT / mutant.tests).read_text()


def test_every_trap_has_a_mutant_and_a_test() -> None:
    traps = {f"T{number:02}" for number in range(1, 26)}
    assert {mutant.trap for mutant in MUTANTS} == traps
    tests = "".join(file.read_text() for file in Path(ROOT, "tests").rglob("test_traps*.py"))
    assert {trap for trap in traps if f"def test_{trap.lower()}_" not in tests} == set()


def test_no_two_mutants_are_the_same() -> None:
    assert len({(mutant.file, mutant.old, mutant.new, mutant.tests) for mutant in MUTANTS}) == len(
        MUTANTS
    )


def test_what_does_not_stand_once_is_not_replaced() -> None:
    mutant = MUTANTS[0]
    for source in ("", mutant.old * 2):
        with pytest.raises(LookupError, match="stands not once"):
            mutant.applied_to(source)
