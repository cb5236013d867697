"""``make faults`` with outcomes that are made up: shows what its status says of them.

python -m tests.faults.planted SECONDS NAME...
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial

import msgspec

import tests.faults.__main__ as main
from tests.faults import plan
from tests.faults.reckoning import Outcome

CHANGES: dict[str, dict[str, object]] = {
    "sound": {"kills": main.ENOUGH},
    "weak": {"kills": 1},
    "lost": {"found": 1},
    "doubled": {"duplicated": 1},
    "torn": {"torn": 1},
    "wrong": {"problems": ["more than the bill's"]},
    "nothing": {"expected": 0, "found": 0},
}


def _outcome(name: str) -> Outcome:
    if name == "failing":
        raise TimeoutError("it did not come")
    if name == "dying":
        os._exit(1)
    if name == "hanging":
        time.sleep(3600)
    return msgspec.structs.replace(Outcome(fault=name, expected=2, found=2), **CHANGES[name])


if __name__ == "__main__":
    main.LONGEST_S = int(sys.argv[1])
    jobs: list[plan.Job] = [partial(_outcome, name) for name in sys.argv[2:]]
    plan.full = lambda: jobs
    sys.argv[1:] = ["--jobs", "1"]
    sys.exit(main.main())
