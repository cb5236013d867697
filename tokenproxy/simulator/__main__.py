"""``python -m tokenproxy.simulator``: serve the simulated APIs until told to stop.

Prints one line, its base URL, when it listens.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tokenproxy.simulator.scenarios import SCENARIOS, named
from tokenproxy.simulator.server import Simulator

_LAST_PORT = 65_535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse in one sentence, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> int:
    """Serve; the exit status."""
    parser = _Parser(
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
    if not 0 <= options.port <= _LAST_PORT:
        parser.error(f"--port {options.port} is no port: they go from 0 to {_LAST_PORT}")
    for option, directory in (("--tls", options.tls), ("--record", options.record)):
        if directory is not None and (trouble := _unusable(directory)):
            parser.error(f"{option} {directory} cannot be used: {trouble}")
    context = None
    if options.tls is not None:
        from tokenproxy.simulator import tls

        try:
            context = tls.throwaway(options.tls).context()
        except OSError as error:
            parser.error(f"--tls {options.tls} cannot be used: {error.strerror}")
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


def _unusable(directory: Path) -> str | None:
    """Make a directory for files of ours, or tell why it cannot be had."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return "it is not a directory"
    except OSError as error:
        return error.strerror
    return None if os.access(directory, os.W_OK | os.X_OK) else "it cannot be written to"


if __name__ == "__main__":
    sys.exit(main())
