"""Whether telemetry is on, by the standard variables alone. Imports no opentelemetry.

A signal is on if an OTLP endpoint is configured for it, or if
``OTEL_TRACES_EXPORTER`` / ``OTEL_METRICS_EXPORTER`` names an exporter. The
specification's own default (``otlp`` to localhost, always) is not ours: a command
whose user never heard of OpenTelemetry must not pay for it.

Source: OpenTelemetry specification, configuration/sdk-environment-variables.md and
protocol/exporter.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

Signal = Literal["traces", "metrics"]
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics")
Exporter = Literal["otlp", "console"]
Protocol = Literal["http/protobuf", "grpc"]

_BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_DEFAULT_ENDPOINTS: Final[dict[Protocol, str]] = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}
_SAID_PER_SIGNAL: Final = ("TRACES", "METRICS", "LOGS")


DEFAULT_TIMEOUT_S: Final = 2.0
"""The SDK's is 10 s, all retries included: too long to be waited for at a run's end."""
_DIGITS: Final = 12
"""Of a number of milliseconds. What has more is none: a socket cannot wait for so long."""


class Choice(msgspec.Struct, frozen=True):
    """The exporters of one signal."""

    exporters: tuple[Exporter, ...] = ()
    problems: tuple[str, ...] = ()
    """Sentences about values that we cannot follow."""


def enabled(env: Mapping[str, str]) -> bool:
    """Whether any signal is on."""
    return any(choose(env, signal).exporters for signal in SIGNALS)


def spooled(env: Mapping[str, str], signal: Signal) -> bool:
    """Whether a signal has nowhere to go and nobody has turned it off: a spool takes it then."""
    off = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    chosen = env.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    return not (off or chosen or _said(env, signal))


def any_spooled(env: Mapping[str, str]) -> bool:
    """Whether there is such a signal."""
    return any(spooled(env, signal) for signal in SIGNALS)


def choose(env: Mapping[str, str], signal: Signal) -> Choice:
    """The exporters that the environment asks for, in its order."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Choice()
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name for part in env.get(variable, "").split(",") if (name := part.strip().lower())]
    if not names:
        return Choice(("otlp",) if _said(env, signal) else ())
    chosen: list[Exporter] = []
    problems: list[str] = []
    for name in dict.fromkeys(names):
        if name in ("otlp", "console"):
            chosen.append("otlp" if name == "otlp" else "console")
        elif name != "none":
            problems.append(
                f"telemetry: {variable} names {name!r}, which is not supported; "
                "use otlp, console or none"
            )
    return Choice(tuple(chosen), tuple(problems))


def protocol(env: Mapping[str, str], signal: Signal) -> tuple[Protocol, str | None]:
    """The OTLP transport of a signal, and a sentence if what is asked for is not supported.

    ``http/protobuf`` is the default, as the specification recommends.
    """
    for variable in (
        f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ):
        value = env.get(variable, "").strip().lower()
        if value == "grpc":
            return "grpc", None
        if value == "http/protobuf":
            return "http/protobuf", None
        if value:
            return "http/protobuf", (
                f"telemetry: {variable} is {value!r}, which is not supported; "
                "http/protobuf is used instead"
            )
    return "http/protobuf", None


def problems(env: Mapping[str, str], signal: Signal) -> tuple[str, ...]:
    """Sentences about what is asked for of a signal and cannot be followed."""
    choice = choose(env, signal)
    transport = protocol(env, signal)[1] if "otlp" in choice.exporters else None
    return (*choice.problems, *([transport] if transport else ()))


def endpoint(env: Mapping[str, str], signal: Signal) -> str:
    """The URL that a signal is sent to, complete for its protocol.

    A signal's own variable is taken as it stands; the base gets the signal's path over
    HTTP and none over gRPC.
    """
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    if own:
        return own
    transport, _ = protocol(env, signal)
    base = env.get(_BASE, "").strip() or _DEFAULT_ENDPOINTS[transport]
    return base if transport == "grpc" else f"{base.removesuffix('/')}/v1/{signal}"


def timeout_s(env: Mapping[str, str], signal: Signal) -> float:
    """Seconds for one export, all its retries included.

    The variables hold milliseconds, as the specification says of every duration; the
    Python SDK alone reads them as seconds.
    """
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"):
        value = env.get(variable, "").strip()
        if value.isdecimal() and len(value) <= _DIGITS and int(value) > 0:
            return int(value) / 1000
    return DEFAULT_TIMEOUT_S


def otlp_hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts that OTLP goes to, for the command's ``NO_PROXY``.

    The command may export telemetry of its own to the same collector; through the proxy
    it would travel for nothing.
    """
    variables = [_BASE, *(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in _SAID_PER_SIGNAL)]
    hosts = (split(env.get(variable, "")).hostname for variable in variables)
    return tuple(dict.fromkeys(host for host in hosts if host))


def split(url: str) -> SplitResult:
    """The parts of an endpoint; gRPC allows ``host:port`` without a scheme. Garbage has no host."""
    text = url.strip()
    try:
        return urlsplit(text if "://" in text else f"//{text}")
    except ValueError:
        return urlsplit("")


def without_login(url: str) -> str:
    """``url`` to be shown: without user and password, and what stands behind its path."""
    plain = re.sub(r"//[^/@]*@", "//", url, count=1)
    return re.split(r"[?#]", plain, maxsplit=1)[0]


def _said(env: Mapping[str, str], signal: Signal) -> bool:
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "")
    return bool(own.strip() or env.get(_BASE, "").strip())
