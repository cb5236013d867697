"""Print ``docs/conventions.md``, or write it: ``python -m tests.telemetry.conformance --write``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.telemetry.conformance.capture import PROTOCOLS, capture
from tests.telemetry.conformance.document import DOCUMENT, render


def main() -> None:
    """Capture, and tell."""
    captures = {}
    for dialect in PROTOCOLS:
        with tempfile.TemporaryDirectory() as root:
            captures[dialect] = capture(dialect, Path(root))
    text = render(captures)
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
