"""Whether the tests of each trap notice that its rule is broken: ``make mutants``.

The package and its tests are copied to a temporary directory. There each entry
of ``MUTANTS`` is put in place of the text that it mutates, and the trap's tests
are run against it. They must fail, and by what a test expects: code that cannot
be imported, or that raises, would prove nothing of what they look at. Before,
the same tests must pass on what was not mutated.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

import tokenproxy
from tests.mutations import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[1]
AT_ONCE: Final = 2

_TESTS: Final = "tests"
"""The argument that has this module run tests where it stands, in a copy."""

_OPTIONS: Final = (
    "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly",
)  # fmt: skip
_PASSED: Final = 0
_FAILED: Final = 1
_RAISED: Final = 70
"""A test failed, but not by what it expects."""
_EXPECTATIONS: Final = (AssertionError, ValueError, LookupError)
"""What a test's own line raises: of ``assert``, of ``[part] = parts``, of ``parts[0]``."""
_TIMEOUT_S: Final = 120


class _Witness:
    """Remembers whether it was an expectation of a test that failed."""

    def __init__(self) -> None:
        self.expected = False

    def pytest_exception_interact(self, node: object, call: pytest.CallInfo[Any]) -> None:
        error = call.excinfo
        if isinstance(node, pytest.Item) and error is not None:
            raised_by = Path(error.traceback[-1].path)
            ours = raised_by.is_relative_to(Path.cwd() / "tests")
            self.expected = ours and error.errisinstance(_EXPECTATIONS)


def run_here(arguments: list[str]) -> int:
    """Run tests against the package that stands beside them, and no other."""
    if Path(tokenproxy.__file__).parents[1] != Path.cwd():
        sys.exit(f"{tokenproxy.__file__} is not the copy in {Path.cwd()}")
    witness = _Witness()
    code = int(pytest.main([*_OPTIONS, *arguments], plugins=[witness]))
    return _RAISED if code == _FAILED and not witness.expected else code


def _run(copy: Path, arguments: Iterable[str], **env: str) -> tuple[int, str]:
    """Run tests in a copy; the exit code, and what they printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutants", _TESTS, *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return ran.returncode, ran.stdout


def _try(copy: Path, mutant: Mutant) -> tuple[str, str]:
    """What becomes of a mutant, and what its tests printed."""
    file = copy / mutant.file
    source, stat = file.read_text(), file.stat()
    file.write_text(mutant.applied_to(source))
    try:
        # A mutant's bytecode must not outlive it.
        code, printed = _run(
            copy, [mutant.tests, "-k", mutant.selected], PYTHONDONTWRITEBYTECODE="1"
        )
    except subprocess.TimeoutExpired:
        return "does not end", ""
    finally:
        file.write_text(source)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fates = {_FAILED: "killed", _PASSED: "SURVIVED", _RAISED: "RAISES"}
    return fates.get(code, f"NOT TESTED ({code})"), printed


def main(mutants: Iterable[Mutant] = MUTANTS) -> int:
    """Try every mutant, two at a time, and print what becomes of it."""
    mutants = list(mutants)
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def attempt(mutant: Mutant) -> tuple[str, str]:
        copy = copies.get()
        try:
            return _try(copy, mutant)
        finally:
            copies.put(copy)

    with tempfile.TemporaryDirectory() as made:
        first = Path(made).resolve() / "0"
        for name in ("tokenproxy", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, first / name, ignore=ignored)
        shutil.copy2(ROOT / "pyproject.toml", first)
        files = dict.fromkeys(mutant.tests for mutant in mutants)
        selected = " or ".join(dict.fromkeys(mutant.selected for mutant in mutants))
        code, printed = _run(first, [*files, "-k", selected])
        if code != _PASSED:
            sys.stdout.write(f"{printed}\nThe tests fail on what is not mutated.\n")
            return 1
        copies.put(first)
        for number in range(1, AT_ONCE):
            copies.put(shutil.copytree(first, first.with_name(str(number))))
        widest = max(len(mutant.rule) for mutant in mutants)
        failures = []
        sys.stdout.write(f"trap | {'rule':{widest}} | mutant\n---- | {'-' * widest} | ------\n")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for mutant, (fate, printed) in zip(mutants, pool.map(attempt, mutants), strict=True):
                sys.stdout.write(f"{mutant.trap:4} | {mutant.rule:{widest}} | {fate}\n")
                sys.stdout.flush()
                if fate != "killed":
                    failures.append(f"\n{mutant}\n{printed}")
    sys.stdout.write("".join(failures))
    traps = len({mutant.trap for mutant in mutants})
    killed = len(mutants) - len(failures)
    sys.stdout.write(f"{killed} of {len(mutants)} mutants killed, of {traps} traps\n")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(run_here(sys.argv[2:]) if sys.argv[1:2] == [_TESTS] else main())
