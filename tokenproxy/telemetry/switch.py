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
SHOWN: Final = 60
"""Characters of a value that are shown."""
_DIGITS: Final = 12
"""Of a number of milliseconds. What has more is none: a socket cannot wait for so long."""


class Choice(msgspec.Struct, frozen=True):
    """The exporters of one signal."""

    exporters: tuple[Exporter, ...] = ()
    problems: tuple[str, ...] = ()
    """Sentences about values that we cannot follow."""


def enabled(env: Mapping[str, str]) -> bool:
    """Whether any signal is on, or was meant to be and what is wrong with it must be said."""
    choices = [choose(env, signal) for signal in SIGNALS]
    return any(choice.exporters or choice.problems for choice in choices)


def prints(env: Mapping[str, str]) -> bool:
    """Whether any signal goes to the console."""
    return any("console" in choose(env, signal).exporters for signal in SIGNALS)


def spooled(env: Mapping[str, str], signal: Signal) -> bool:
    """Whether a signal has nowhere to go and nobody has turned it off: a spool takes it then."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if choose(env, signal).exporters:
        return False
    named = _named(env, signal)
    return "otlp" in named if named or _said(env, signal) else True


def any_spooled(env: Mapping[str, str]) -> bool:
    """Whether there is such a signal."""
    return any(spooled(env, signal) for signal in SIGNALS)


def choose(env: Mapping[str, str], signal: Signal) -> Choice:
    """The exporters that the environment asks for, in its order."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Choice()
    chosen: list[Exporter] = []
    problems: list[str] = []
    for name in _named(env, signal):
        if name == "otlp" and (fault := _endpoint_fault(env, signal)) is not None:
            problems.append(fault)
        elif name in ("otlp", "console"):
            chosen.append("otlp" if name == "otlp" else "console")
        elif name != "none":
            problems.append(
                f"telemetry: {_exporter_variable(signal)} names {name!r}, which is not supported;"
                " use otlp, console or none"
            )
    return Choice(tuple(chosen), tuple(problems))


def _named(env: Mapping[str, str], signal: Signal) -> tuple[str, ...]:
    """The words that choose the signal's exporters: those of the user, else ``otlp`` or none."""
    words = env.get(_exporter_variable(signal), "").lower().split(",")
    names = tuple(dict.fromkeys(name for word in words if (name := word.strip())))
    return names or (("otlp",) if _said(env, signal) else ())


def _exporter_variable(signal: Signal) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"


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


def _endpoint_fault(env: Mapping[str, str], signal: Signal) -> str | None:
    """What is wrong with the endpoint that a signal would be sent to; None if nothing is."""
    for variable, value in stated(env, signal, "ENDPOINT")[:1]:
        if _names_server(value, protocol(env, signal)[0]):
            return None
        # A password may stand anywhere in what is no URL.
        shown = "" if "@" in value else f" ({without_login(value)[:SHOWN]!r})"
        plain = re.fullmatch(r"([\w.-]+)(:\d+)?", value)
        better = f"http://{plain[1]}{plain[2] or ':4318'}" if plain else "http://HOST:4318"
        grpc = value.endswith(":4317") and ", and OTEL_EXPORTER_OTLP_PROTOCOL=grpc for gRPC's port"
        return (
            f"telemetry: {variable} is no http:// or https:// URL{shown}, so nothing is sent"
            f" there; write {better}{grpc or ''}"
        )
    return None


def _names_server(url: str, transport: Protocol) -> bool:
    parts = split(url)
    try:
        port = parts.port
    except ValueError:
        return False
    schemes = ("http", "https", "") if transport == "grpc" else ("http", "https")
    if transport == "grpc" and not parts.netloc:
        return bool(parts.path)  # of gRPC's own names, unix:/path
    return (
        parts.scheme in schemes and bool(parts.hostname) and port != 0 and not re.search(r"\s", url)
    )


def stated(env: Mapping[str, str], signal: Signal, what: str) -> list[tuple[str, str]]:
    """The variables that say something of it and what, the one that counts first."""
    names = (f"{signal.upper()}_{what}", what)
    found = (
        (name, env.get(name, "").strip()) for name in map("OTEL_EXPORTER_OTLP_{}".format, names)
    )
    return [(name, value) for name, value in found if value]


def timeout_s(env: Mapping[str, str], signal: Signal) -> float:
    """Seconds for one export, all its retries included.

    The variables hold milliseconds, as the specification says of every duration; the
    Python SDK alone reads them as seconds.
    """
    found = (milliseconds(value) for _, value in stated(env, signal, "TIMEOUT"))
    return next((number / 1000 for number in found if number is not None), DEFAULT_TIMEOUT_S)


def milliseconds(value: str) -> int | None:
    """A number of them above 0; None if that is none."""
    is_number = value.isdecimal() and len(value) <= _DIGITS
    return int(value) or None if is_number else None


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
