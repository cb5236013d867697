"""On and off by the standard variables."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.switch import choose, enabled, endpoint, otlp_hosts, protocol

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
METRICS = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"


@pytest.mark.parametrize(
    ("env", "traces", "metrics"),
    [
        ({}, (), ()),
        ({BASE: ""}, (), ()),
        ({BASE: " "}, (), ()),
        ({BASE: "http://c:4318"}, ("otlp",), ("otlp",)),
        ({TRACES: "http://c:4318/v1/traces"}, ("otlp",), ()),
        ({METRICS: "http://c:4318/v1/metrics"}, (), ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c"}, (), ()),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",), ()),
        ({"OTEL_METRICS_EXPORTER": "console"}, (), ("console",)),
        ({"OTEL_TRACES_EXPORTER": " Console , OTLP,otlp"}, ("console", "otlp"), ()),
        ({BASE: "http://c", "OTEL_TRACES_EXPORTER": "none"}, (), ("otlp",)),
        ({BASE: "http://c", "OTEL_METRICS_EXPORTER": "None"}, ("otlp",), ()),
        ({BASE: "http://c", "OTEL_TRACES_EXPORTER": "zipkin"}, (), ("otlp",)),
        ({BASE: "http://c", "OTEL_TRACES_EXPORTER": ""}, ("otlp",), ("otlp",)),
        ({BASE: "http://c", "OTEL_SDK_DISABLED": "TRUE"}, (), ()),
        ({BASE: "http://c", "OTEL_SDK_DISABLED": "yes"}, ("otlp",), ("otlp",)),
    ],
)
def test_signals(env: dict[str, str], traces: tuple[str, ...], metrics: tuple[str, ...]) -> None:
    assert choose(env, "traces").exporters == traces
    assert choose(env, "metrics").exporters == metrics
    assert enabled(env) == bool(traces or metrics)


def test_an_exporter_we_do_not_have_is_said() -> None:
    problems = choose({"OTEL_METRICS_EXPORTER": "prometheus"}, "metrics").problems
    assert problems == (
        (
            "telemetry: OTEL_METRICS_EXPORTER names 'prometheus', which is not supported; "
            "use otlp, console or none"
        ),
    )


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": " GRPC "}, "grpc"),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            "http/protobuf",
        ),
        ({"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_protocol(env: dict[str, str], expected: str) -> None:
    assert protocol(env, "traces") == (expected, None)


def test_a_protocol_we_do_not_have_is_said() -> None:
    used, sentence = protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "metrics")
    assert used == "http/protobuf"
    assert sentence is not None
    assert "http/json" in sentence


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({BASE: "http://c:4318"}, "http://c:4318/v1/traces"),
        ({BASE: "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({BASE: "http://c/otlp"}, "http://c/otlp/v1/traces"),
        ({BASE: "http://c", TRACES: "http://d/x"}, "http://d/x"),
        ({BASE: "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "c:4317"),
    ],
)
def test_endpoint(env: dict[str, str], expected: str) -> None:
    assert endpoint(env, "traces") == expected


@pytest.mark.parametrize(
    ("env", "hosts"),
    [
        ({}, ()),
        ({BASE: "https://otel.example:443/x"}, ("otel.example",)),
        ({BASE: "collector:4317"}, ("collector",)),
        ({BASE: "http://[::1]:4318"}, ("::1",)),
        ({BASE: "http://user:pw@c:4318"}, ("c",)),
        (
            {
                BASE: "http://a",
                TRACES: "http://b",
                METRICS: "http://a",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://d",
            },
            ("a", "b", "d"),
        ),
        ({BASE: "http://[broken"}, ()),
        ({BASE: ""}, ()),
    ],
)
def test_otlp_hosts(env: dict[str, str], hosts: tuple[str, ...]) -> None:
    assert otlp_hosts(env) == hosts


def test_an_endpoint_that_is_no_url_has_no_host() -> None:
    assert switch.split("http://[").hostname is None


def test_asking_whether_it_is_on_imports_no_opentelemetry() -> None:
    code = (
        "import sys\n"
        "from tokenproxy.telemetry.switch import enabled, otlp_hosts\n"
        "assert not enabled({})\n"
        "otlp_hosts({})\n"
        "loaded = [n for n in sys.modules if n.split('.')[0] in ('opentelemetry', 'grpc')]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
