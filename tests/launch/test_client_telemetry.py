"""What turns a command's own telemetry on, variable by variable."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable

import pytest

from tests.launch.harness import WAIT_S, Launch
from tokenproxy.launch import client_telemetry
from tokenproxy.launch.errors import UsageError

type Make = Callable[..., Launch]

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
CLAUDE_CODE = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    "OTEL_METRIC_EXPORT_INTERVAL": "10000",
    "OTEL_TRACES_EXPORT_INTERVAL": "1000",
    "OTEL_METRICS_INCLUDE_SESSION_ID": "false",
    "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=me",
}
GEMINI = {
    "GEMINI_TELEMETRY_ENABLED": "true",
    "GEMINI_TELEMETRY_TARGET": "local",
    "GEMINI_TELEMETRY_OTLP_ENDPOINT": "http://collector:4318",
    "GEMINI_TELEMETRY_OTLP_PROTOCOL": "http",
    "GEMINI_TELEMETRY_LOG_PROMPTS": "false",
    "OTEL_NODE_RESOURCE_DETECTORS": "env",
}


def added(env: dict[str, str]) -> dict[str, str]:
    return client_telemetry.for_child(env, "me")


def test_with_an_endpoint_alone() -> None:
    assert added(ENDPOINT) == CLAUDE_CODE


@pytest.mark.parametrize("name", [*CLAUDE_CODE, *GEMINI])
@pytest.mark.parametrize("value", ["the user's", ""])
def test_what_the_user_has_set_stays(name: str, value: str) -> None:
    if name == client_telemetry.RESOURCE:
        return
    env = {**ENDPOINT, "OTEL_LOGS_EXPORTER": "otlp", name: value}
    assert name not in added(env)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("", "service.instance.id=me"),
        ("team.id=a,", "team.id=a,service.instance.id=me"),
        ("team.id=a, b=c%2Cd", "team.id=a, b=c%2Cd,service.instance.id=me"),
        ("service.instance.id.x=1", "service.instance.id.x=1,service.instance.id=me"),
    ],
)
def test_the_instance_is_added_to_the_users_resource(given: str, made: str) -> None:
    assert added({**ENDPOINT, client_telemetry.RESOURCE: given})[client_telemetry.RESOURCE] == made


@pytest.mark.parametrize("given", ["service.instance.id=own", "a=b, service.instance.id = own"])
def test_an_instance_of_the_users_own_wins(given: str) -> None:
    assert client_telemetry.RESOURCE not in added({**ENDPOINT, client_telemetry.RESOURCE: given})


def test_only_the_signals_that_we_send_are_turned_on() -> None:
    metrics = added({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector/v1/metrics"})
    assert metrics["OTEL_METRICS_EXPORTER"] == "otlp"
    assert not {name for name in metrics if "TRACE" in name}
    assert "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA" not in metrics
    traces = added({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"})
    assert traces["OTEL_TRACES_EXPORTER"] == "otlp"
    assert "OTEL_METRICS_EXPORTER" not in traces


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_LOGS_EXPORTER": "otlp"},
        {"OTEL_LOGS_EXPORTER": "console, OTLP"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki/otlp/v1/logs"},
    ],
)
def test_a_user_whose_collector_takes_logs_has_gemini_cli_too(env: dict[str, str]) -> None:
    made = added({**ENDPOINT, **env})
    assert GEMINI.items() <= made.items()
    assert made.get("OTEL_LOGS_EXPORTER", "otlp") == "otlp"


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_LOGS_EXPORTER": "none"},
        {"OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki"},
        {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://mimir/otlp"},
        {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
    ],
)
def test_gemini_cli_needs_a_place_for_all_it_sends(env: dict[str, str]) -> None:
    assert not {name for name in added({**ENDPOINT, **env}) if "GEMINI" in name or "NODE" in name}


@pytest.mark.parametrize(
    ("env", "base", "protocol"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/otlp/"}, "http://c:4318/otlp", "http"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "http://c:4317",
            "grpc",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/x/v1/traces",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/x/v1/metrics",
            },
            "http://c/x",
            "http",
        ),
    ],
)
def test_gemini_clis_base(env: dict[str, str], base: str, protocol: str) -> None:
    made = added({**env, "OTEL_LOGS_EXPORTER": "otlp"})
    assert made["GEMINI_TELEMETRY_OTLP_ENDPOINT"] == base
    assert made["GEMINI_TELEMETRY_OTLP_PROTOCOL"] == protocol


def test_no_prompt_is_ever_asked_for() -> None:
    made = added({**ENDPOINT, "OTEL_LOGS_EXPORTER": "otlp"})
    speaking = ("OTEL_LOG_", "CONTENT", "DETAILED", "TRACES_ENABLED")
    assert not {name for name in made for word in speaking if word in name}
    assert made["GEMINI_TELEMETRY_LOG_PROMPTS"] == "false"


@pytest.mark.parametrize(
    "env",
    [
        {},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki"},
    ],
)
def test_without_a_collector_it_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="set OTEL_EXPORTER_OTLP_ENDPOINT") as refused:
        client_telemetry.check(env)
    assert refused.value.status == 2
    client_telemetry.check(ENDPOINT)


# -- in a run ---------------------------------------------------------------------------


def environment_of(printed: bytes) -> dict[str, str]:
    """What `env` has printed."""
    return dict(line.split("=", 1) for line in printed.decode().splitlines())


def instance_of(printed: bytes) -> str:
    return environment_of(printed)[client_telemetry.RESOURCE].rpartition("=")[2]


def test_the_command_has_it_and_nobody_else(launch: Make) -> None:
    made = launch(client_telemetry=True)
    made.proxy[0:0] = ["/bin/sh", "-c", 'env > "$0"; exec "$@"', str(made.home / "proxy-env")]
    done = made.run(["env"], ENDPOINT)
    assert done.returncode == 0, done.stderr
    child = environment_of(done.stdout)
    instance = instance_of(done.stdout)
    assert uuid.UUID(instance).version == 5
    expected = {**CLAUDE_CODE, client_telemetry.RESOURCE: f"service.instance.id={instance}"}
    assert expected.items() <= child.items()
    ours = environment_of((made.home / "proxy-env").read_bytes())
    assert not CLAUDE_CODE.keys() & ours.keys()
    assert child["TRACEPARENT"].split("-")[1] == made.noted("config")[0]["run"]["trace_id"]


def test_nothing_is_set_without_the_flag(launch: Make) -> None:
    child = environment_of(launch().run(["env"], ENDPOINT).stdout)
    assert not CLAUDE_CODE.keys() & child.keys()


def test_the_instance_is_the_same_from_run_to_run_and_never_twice_at_a_time(launch: Make) -> None:
    made = launch(client_telemetry=True)
    alone = instance_of(made.run(["env"], ENDPOINT).stdout)
    with made.start(["sh", "-c", "env; echo; read wait"], ENDPOINT, stdin=subprocess.PIPE) as first:
        assert first.stdout is not None
        printed = b"".join(iter(first.stdout.readline, b"\n"))
        beside = instance_of(made.run(["env"], ENDPOINT).stdout)
        first.communicate(b"go\n", timeout=WAIT_S)
    assert instance_of(printed) == alone != beside


def test_a_run_inside_turns_it_on_for_its_own_command(launch: Make) -> None:
    outer, inner = launch(client_telemetry=True), launch()
    done = outer.run(["sh", "-c", 'env; echo; exec "$@"', "", *inner.argv, "env"], ENDPOINT)
    first, second = done.stdout.split(b"\n\n")
    assert instance_of(first) != instance_of(second)
    assert environment_of(second)["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"


def test_a_run_inside_that_has_no_collector_is_not_refused(launch: Make) -> None:
    outer, inner = launch(client_telemetry=True), launch()
    without = ["env", "-u", "OTEL_EXPORTER_OTLP_ENDPOINT", *inner.argv, "env"]
    done = outer.run(without, ENDPOINT)
    assert done.returncode == 0, done.stderr
    assert "CLAUDE_CODE_ENABLE_TELEMETRY" not in environment_of(done.stdout)


def test_without_a_collector_nothing_is_run(launch: Make) -> None:
    done = launch(client_telemetry=True).run(["echo", "ran"])
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"tokenproxy: --client-telemetry needs a collector: set OTEL_")
    assert done.stderr.count(b"\n") == 1
