"""What of the standard variables cannot be followed: one sentence each, and what to do.

The specification wants a warning and the default in the place of a value that is none
(configuration/common.md); a command that we run must not fail for it. Values that only the
SDK reads (samplers, limits, ``OTEL_BSP_*``) it complains of itself
(:mod:`tokenproxy.telemetry.sdk.watched`). Imports no opentelemetry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.switch import Signal

COMPRESSIONS: Final = ("gzip", "deflate", "none")
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    # Variable -> its values, the default first.
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": ("delta", "cumulative", "lowmemory"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": (
        "explicit_bucket_histogram",
        "base2_exponential_bucket_histogram",
    ),
}
_INTERVALS: Final = {"OTEL_METRIC_EXPORT_INTERVAL": 60_000, "OTEL_METRIC_EXPORT_TIMEOUT": 30_000}
"""Milliseconds: variable -> default."""

_KEY: Final = r"[\x21\x23-\x27\x2a\x2b\x2d\x2e\x30-\x39\x41-\x5a\x5e-\x7a\x7c\x7e]+"
HEADER: Final = re.compile(
    rf"({_KEY})[ \t]*=[ \t]*([\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)"
)
"""One of ``OTEL_EXPORTER_OTLP_HEADERS``, as the specification has it, and spaces within the
value, which the SDK takes too."""


def problems(env: Mapping[str, str]) -> tuple[str, ...]:
    """Of all signals, each sentence once; none where telemetry is off."""
    found = (said for signal in switch.SIGNALS for said in problems_of(env, signal))
    return tuple(dict.fromkeys(found))


def problems_of(env: Mapping[str, str], signal: Signal) -> tuple[str, ...]:
    """Of one signal."""
    choice = switch.choose(env, signal)
    found = [*choice.problems]
    if "otlp" in choice.exporters:
        found += _of_otlp(env, signal)
    if signal == "metrics" and choice.exporters:
        found += _of_metrics(env)
    return tuple(found)


def _of_otlp(env: Mapping[str, str], signal: Signal) -> Iterator[str]:
    transport, unknown = switch.protocol(env, signal)
    if unknown is not None:
        yield unknown
    used_ms = round(switch.timeout_s(env, signal) * 1000)
    for variable, value in switch.stated(env, signal, "TIMEOUT"):
        if switch.milliseconds(value) is None:
            yield (
                f"telemetry: {variable} is {_shown(value)}, which is no number of milliseconds"
                f" above 0; {used_ms} is used"
            )
    for variable, value in switch.stated(env, signal, "HEADERS")[:1]:
        if not all(HEADER.fullmatch(word) for part in value.split(",") if (word := part.strip())):
            # The value is not shown: it may be a key.
            yield (
                f"telemetry: {variable} has an entry that is not name=value and is not sent;"
                " separate headers by commas, and write what is special in a value as %XX"
            )
    for variable, value in switch.stated(env, signal, "COMPRESSION")[:1]:
        # gRPC's exporter says it by itself, and is off then.
        if transport != "grpc" and value.lower() not in COMPRESSIONS:
            yield _no_word(variable, value, (COMPRESSIONS[-1], *COMPRESSIONS[:-1]))


def _of_metrics(env: Mapping[str, str]) -> Iterator[str]:
    for variable, words in _WORDS.items():
        value = env.get(variable, "").strip()
        if value and value.lower() not in words:
            yield _no_word(variable, value, words)
    for variable, default in _INTERVALS.items():
        value = env.get(variable, "").strip()
        if value and not _is_interval(value):
            yield (
                f"telemetry: {variable} is {_shown(value)}, which is no number of milliseconds"
                f" above 0; {default} is used"
            )


def _is_interval(value: str) -> bool:
    try:
        return 0 < float(value) < float("inf")
    except ValueError:
        return False


def _no_word(variable: str, value: str, words: tuple[str, ...]) -> str:
    first, *others = words
    return (
        f"telemetry: {variable} is {_shown(value)}, which is not supported; {first} is used"
        f" (or set it to {' or '.join(others)})"
    )


def _shown(value: str) -> str:
    """A value in quotes, cut where it is long."""
    return repr(value if len(value) <= switch.SHOWN else value[: switch.SHOWN] + "…")
