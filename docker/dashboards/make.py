#!/usr/bin/env python3
"""Write the dashboards: ``make.py``. Tell whether they are current: ``make.py --check``.

Panels that are written by hand drift apart; here each says only what is its own. What is
common to all is in ``boards/panels.py``, what is common to the queries in
``boards/promql.py``. Needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from boards import live, loop, overview

HERE = Path(__file__).resolve().parent
BOARDS = {"overview": overview.BOARD, "loop": loop.BOARD, "live": live.BOARD}


def main(words: list[str]) -> int:
    """Write the files, or say which are stale and return 1."""
    if words not in ([], ["--check"]):
        sys.stderr.write("usage: make.py [--check]\n")
        return 2
    stale = []
    for name, board in BOARDS.items():
        path = HERE / f"{name}.json"
        text = json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        if not words:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run docker/dashboards/make.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
