"""One target under libFuzzer: ``python -m tests.fuzz.one TARGET DIRECTORY [-OPTION=VALUE]...``."""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore] # by make fuzz

with atheris.instrument_imports(include=["tokenproxy", "tests.fuzz.targets"]):
    from tests.fuzz.targets import PLANTED, TARGETS, planted


def main() -> None:
    target = {**TARGETS, PLANTED: planted}[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
