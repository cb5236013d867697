"""Measure tokenproxy beside its peers, in turns, and print medians, spreads and ratios.

    python -m benchmarks --quick
    python -m benchmarks --only sse,everyday --peers direct,nginx,tokenproxy --rounds 9
    python -m benchmarks --from benchmarks/results/last.json --plot docs/performance.svg

A full run takes half an hour, a quick one three minutes. Let nothing else run beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.plot import plot
from benchmarks.processes import Unavailable
from benchmarks.results import Results
from benchmarks.run import APART, HERE, PEERS, USUAL, Plan, run, say
from benchmarks.scenarios import SCENARIOS
from benchmarks.tables import tables
from benchmarks.traffic_run import TrafficError

NAMES = (*SCENARIOS, *APART)
FULL = Plan(
    only=NAMES, peers=USUAL, quick=False,
    rounds=5, seconds=2.0, warmup_s=0.5, starts=15, memory_times=3,
)  # fmt: skip
QUICK = Plan(
    only=tuple(name for name in NAMES if name != "report"), peers=USUAL, quick=True,
    rounds=2, seconds=1.0, warmup_s=0.2, starts=5, memory_times=2,
)  # fmt: skip


def main() -> int:
    """Measure or read, then show; the status is 1 where something failed."""
    options = _options()
    try:
        results = Results.read(options.source) if options.source else run(_plan(options))
    except (TrafficError, Unavailable) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except (OSError, msgspec.DecodeError) as error:
        if options.source is None:
            raise
        say(f"{options.source} holds no results: {error}")
        return 2
    if not options.source:
        results.write(options.json)
        say(f"written to {options.json}")
    if options.plot:
        options.plot.write_text(plot(results), encoding="utf-8")
        say(f"drawn in {options.plot}")
    print(tables(results))
    return 1 if results.faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and 16 streams only")
    parser.add_argument(
        "--only",
        type=_names(NAMES),
        help=f"of {','.join(NAMES)}; default all, quick without report",
    )
    parser.add_argument(
        "--peers",
        type=_names(tuple(PEERS)),
        help=f"of {','.join(PEERS)}; default {','.join(USUAL)}",
    )
    parser.add_argument(
        "--rounds", type=_positive(int), help=f"default {FULL.rounds}, quick {QUICK.rounds}"
    )
    parser.add_argument("--seconds", type=_positive(float), help="of each measurement")
    parser.add_argument(
        "--streams", type=_positive(int), help="clients at once, in place of a scenario's own"
    )
    parser.add_argument(
        "--json", type=Path, default=HERE / "results" / "last.json", help="where results are put"
    )
    parser.add_argument("--plot", type=Path, help="draw them as SVG in this file")
    parser.add_argument(
        "--from", dest="source", type=Path, help="show the results in this file, measure nothing"
    )
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> Plan:
    given = {
        name: value
        for name in ("only", "peers", "rounds", "seconds", "streams")
        if (value := getattr(options, name)) is not None
    }
    return msgspec.structs.replace(QUICK if options.quick else FULL, **given)


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        wanted = tuple(text.split(","))
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return wanted

    return names


def _positive[Number: (int, float)](kind: Callable[[str], Number]) -> Callable[[str], Number]:
    def positive(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind("0")
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
        return value

    return positive


if __name__ == "__main__":
    sys.exit(main())
