"""Sends what a spool holds: the oldest first, each taken out once the collector has it.

A request is renamed before it is sent and removed after it was taken. So nothing is lost
when a replay is killed, and at most the one request that it was at is sent twice, which
the next replay knows and says. Two replays of one directory do not meet: it is locked by
who is first (``flock``, which ends with its process).
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tokenproxy.telemetry import spool, switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.otlp import fit
from tokenproxy.telemetry.otlp.json_form import NotOtlpError, to_protobuf
from tokenproxy.telemetry.otlp.sender import Sender
from tokenproxy.telemetry.otlp.settings import settings
from tokenproxy.telemetry.problems import problems
from tokenproxy.telemetry.spool import Entry
from tokenproxy.telemetry.switch import Signal

logger = logging.getLogger(__name__)

TIMEOUT_MS: Final = "10000"
"""The specification's default: nobody's end waits for this."""
_OF_THIS_ONE: Final = ("400", "413", "422")
"""Refusals of one request. After all others the next would be refused as well."""


class CannotReplayError(Exception):
    """Nothing was sent. One sentence."""


class Replayed(msgspec.Struct):
    """What became of a spool."""

    sent: int = 0
    kept: int = 0
    again: int = 0
    """Of those that were sent: had perhaps arrived before."""
    address: str = ""
    why: str | None = None
    """Of what was kept; one reason."""


def replay(directory: Path, env: Mapping[str, str], endpoint: str | None = None) -> Replayed:
    """Send all that waits in a directory.

    Args:
        directory: The spool.
        env: Where the collector is, and how it wants to be spoken to.
        endpoint: A collector's base URL, instead of that of the environment.

    Raises:
        CannotReplayError: The collector, or the directory, is none that can be used.
    """
    env = _settings(env, endpoint)
    deliveries = {
        signal: Delivery(what, switch.endpoint(env, signal)) for signal, what in _NAMES.items()
    }
    try:
        senders = {
            signal: Sender(settings(env, signal), told) for signal, told in deliveries.items()
        }
        with _locked(directory):
            spool.forget_unwritten(directory)
            found = spool.entries(directory)
            return _sent(found, {signal: one.send for signal, one in senders.items()}, deliveries)
    except OSError as error:
        raise CannotReplayError(f"{directory}: {error.strerror or error}") from error


_NAMES: Final[dict[Signal, str]] = {"traces": "spans", "metrics": "metrics"}


def _sent(
    found: list[Entry],
    senders: Mapping[Signal, Callable[[bytes], bool]],
    deliveries: Mapping[Signal, Delivery],
) -> Replayed:
    outcome = Replayed(
        address=" and ".join(dict.fromkeys(one.address for one in deliveries.values()))
    )
    stopped: set[Signal] = set()
    for entry in found:
        signal, told = entry.signal, deliveries[entry.signal]
        if signal in stopped:
            outcome.kept += 1
            continue
        try:
            request = to_protobuf(signal, entry.path.read_bytes())
            claimed = entry.claimed()
        except FileNotFoundError:  # a writer made room for newer ones
            continue
        except (OSError, NotOtlpError) as error:
            logger.debug("%s: %s", entry.path, error)
            outcome.kept += 1
            outcome.why = f"{entry.path} cannot be read as a request"
            continue
        told.refusal = None
        if senders[signal](request):
            claimed.path.unlink(missing_ok=True)
            outcome.sent += 1
            outcome.again += entry.doubtful
            continue
        claimed.released()
        outcome.kept += 1
        outcome.why = told.verdict
        if (told.refusal or "").partition(" ")[0] not in _OF_THIS_ONE:
            stopped.add(signal)
    return outcome


def _settings(env: Mapping[str, str], endpoint: str | None) -> dict[str, str]:
    """The environment, as if it named this endpoint and nothing but OTLP.

    Raises:
        CannotReplayError: It names no collector that can be spoken to here.
    """
    found = {"OTEL_EXPORTER_OTLP_TIMEOUT": TIMEOUT_MS, **env}
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        found.pop(name, None)
    if endpoint is not None:
        for name in list(found):
            if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith(("_ENDPOINT", "PROTOCOL")):
                del found[name]
        found["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    for problem in problems(found):
        said = problem.removeprefix("telemetry: ")
        named = "--endpoint" if endpoint is not None else "OTEL_EXPORTER_OTLP_ENDPOINT"
        raise CannotReplayError(said.replace("OTEL_EXPORTER_OTLP_ENDPOINT is", f"{named} is"))
    for signal in switch.SIGNALS:
        if not switch.choose(found, signal).exporters:
            raise CannotReplayError(
                f"no collector is named for {signal}: give --endpoint URL, or set"
                " OTEL_EXPORTER_OTLP_ENDPOINT (such as http://127.0.0.1:4318)"
            )
        if switch.protocol(found, signal)[0] != "http/protobuf":
            raise CannotReplayError(
                "a spool is sent over HTTP, and the environment asks for gRPC: name the"
                " collector's HTTP port with --endpoint (such as http://127.0.0.1:4318)"
            )
        if not fit.reachable(found, signal):
            raise CannotReplayError(
                f"{Delivery(signal, switch.endpoint(found, signal)).address or 'that'} is no"
                " collector that can be reached: give --endpoint http://HOST:PORT, and if a proxy"
                " stands between, name the host in NO_PROXY"
            )
    return found


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Be the only replay of a directory.

    Raises:
        CannotReplayError: Another is at it.
        OSError: There is no such directory.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotReplayError(f"another replay of {directory} is under way") from None
        yield
    finally:
        os.close(fd)
