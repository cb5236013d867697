"""``--client-telemetry``: the command's own telemetry, sent where ours goes.

Agents have telemetry of their own, off by default. What turns it on are variables of
the command's environment; a variable that the user has set, be it to nothing, is
never touched. What a client has only a file or an option for stays the user's
(Codex: ``[otel]`` in its ``config.toml``).

Of no client are prompts or answers asked for. Logs go out only where the user says
that the collector takes them (``OTEL_LOGS_EXPORTER=otlp``, or an endpoint of their
own): the shipped collector has no use for them.

Measured with Claude CLI 2.1.330 and Gemini CLI 0.61.0; docs/clients.md has what came.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.launch.errors import UsageError
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.switch import Signal

SIGNALS: tuple[Signal, ...] = ("traces", "metrics")
RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
INSTANCE = "service.instance.id"

METRIC_INTERVAL_MS = 10_000
"""Clients export what is left when they end; this bounds what one that is killed takes along."""
SPAN_INTERVAL_MS = 1_000


def check(env: Mapping[str, str]) -> None:
    """Refuse what would go nowhere.

    Raises:
        UsageError: ``env`` sends neither spans nor metrics over OTLP.
    """
    if not signals(env):
        for signal in SIGNALS:
            for problem in switch.choose(env, signal).problems:
                raise UsageError(f"--client-telemetry: {problem.removeprefix('telemetry: ')}")
        raise UsageError(
            "--client-telemetry needs a collector: set OTEL_EXPORTER_OTLP_ENDPOINT"
            " (http://127.0.0.1:4318, say), and let OTEL_SDK_DISABLED and OTEL_*_EXPORTER not"
            " turn telemetry off"
        )


def signals(env: Mapping[str, str]) -> tuple[Signal, ...]:
    """The signals that our own telemetry sends over OTLP."""
    return tuple(one for one in SIGNALS if "otlp" in switch.choose(env, one).exporters)


def for_child(env: Mapping[str, str], instance_id: str) -> dict[str, str]:
    """What is to be set beside ``env``, the user's environment; nothing that is in it but one.

    The one is ``OTEL_RESOURCE_ATTRIBUTES``, which is added to: clients name no instance,
    and two that write into the same series at once lose data (see
    :mod:`tokenproxy.telemetry.instance`).

    Args:
        env: The user's environment.
        instance_id: ``service.instance.id`` of the command, unless the user has one.
    """
    on = signals(env)
    wanted = {
        **{f"OTEL_{signal.upper()}_EXPORTER": "otlp" for signal in on},
        "OTEL_LOGS_EXPORTER": "otlp" if _takes_logs(env) else "none",
        # Our defaults. Claude Code has none for the protocol.
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_METRIC_EXPORT_INTERVAL": str(METRIC_INTERVAL_MS),
        **_claude_code(on),
        **_gemini(env, on),
    }
    added = {name: value for name, value in wanted.items() if name not in env}
    resource = _with_instance(env.get(RESOURCE, ""), instance_id)
    if resource != env.get(RESOURCE):
        added[RESOURCE] = resource
    return added


def _takes_logs(env: Mapping[str, str]) -> bool:
    """Whether the user says that the collector takes logs."""
    named = {name.strip().lower() for name in env.get("OTEL_LOGS_EXPORTER", "").split(",")}
    own = env.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "").strip()
    return "otlp" in named or (named == {""} and bool(own))


def _claude_code(on: tuple[Signal, ...]) -> dict[str, str]:
    traces = {
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        # Behind a base URL of ours it would not say which of its spans a request is.
        "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
        "OTEL_TRACES_EXPORT_INTERVAL": str(SPAN_INTERVAL_MS),
    }
    return {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        # A series for every session, for ever; one for every sender is enough.
        "OTEL_METRICS_INCLUDE_SESSION_ID": "false",
        **(traces if "traces" in on else {}),
    }


def _gemini(env: Mapping[str, str], on: tuple[Signal, ...]) -> dict[str, str]:
    """Gemini CLI sends all three signals to one base, or none: it needs a place for each.

    A collector that refuses its logs makes it print the refusal on the user's terminal.
    """
    base = _common_base(env)
    if on != SIGNALS or base is None or not _takes_logs(env):
        return {}
    return {
        "GEMINI_TELEMETRY_ENABLED": "true",
        "GEMINI_TELEMETRY_TARGET": "local",
        "GEMINI_TELEMETRY_OTLP_ENDPOINT": base,
        "GEMINI_TELEMETRY_OTLP_PROTOCOL": (
            "grpc" if switch.protocol(env, "traces")[0] == "grpc" else "http"
        ),
        "GEMINI_TELEMETRY_LOG_PROMPTS": "false",
        # The process detector tells the command line, and the prompt may be in it.
        "OTEL_NODE_RESOURCE_DETECTORS": "env",
    }


def _common_base(env: Mapping[str, str]) -> str | None:
    """The base URL of both signals; None if they go different ways."""
    if len({switch.protocol(env, signal)[0] for signal in SIGNALS}) > 1:
        return None
    grpc = switch.protocol(env, "traces")[0] == "grpc"
    endpoints = {switch.endpoint(env, signal): f"/v1/{signal}" for signal in SIGNALS}
    if not grpc and not all(url.endswith(path) for url, path in endpoints.items()):
        return None
    bases = {url if grpc else url.removesuffix(path) for url, path in endpoints.items()}
    return bases.pop() if len(bases) == 1 else None


def _with_instance(attributes: str, instance_id: str) -> str:
    """``OTEL_RESOURCE_ATTRIBUTES`` with an instance; as it is if it has one."""
    entries = [entry for entry in attributes.split(",") if entry.strip()]
    if any(entry.partition("=")[0].strip() == INSTANCE for entry in entries):
        return attributes
    return ",".join([*entries, f"{INSTANCE}={instance_id}"])
