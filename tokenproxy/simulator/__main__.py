"""``python -m tokenproxy.simulator``: serve the simulated APIs until told to stop.

Prints one line, its base URL, when it listens.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tokenproxy.simulator.scenarios import SCENARIOS, named
from tokenproxy.simulator.server import Simulator


def main() -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tokenproxy.simulator",
        description="Simulated model APIs on loopback, told apart by path.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (0: any free one)")
    parser.add_argument(
        "--scenario", default="agent", metavar="NAME[+MODIFIER…]", help="what it answers"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and exit")
    parser.add_argument(
        "--tls",
        type=Path,
        metavar="DIR",
        help="serve HTTPS as the APIs' hosts; DIR gets ca.pem for the client to trust",
    )
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write every exchange into this directory"
    )
    options = parser.parse_args()
    try:
        scenario = named(options.scenario)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        sys.stdout.write("\n".join(sorted(SCENARIOS)) + "\n")
        return 0
    context = None
    if options.tls is not None:
        from tokenproxy.simulator import tls

        options.tls.mkdir(parents=True, exist_ok=True)
        context = tls.throwaway(options.tls).context()
    if options.record is not None:
        options.record.mkdir(parents=True, exist_ok=True)
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    simulator = Simulator(scenario, tls=context, port=options.port, record=options.record)
    try:
        with simulator:
            sys.stdout.write(simulator.url + "\n")
            sys.stdout.flush()
            signal.sigwait(stop)
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {options.port}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
