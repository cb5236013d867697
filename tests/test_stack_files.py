"""The collector's and compose's files: well-formed and pinned.

What the real programs make of them is tested in tests/real/stack.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
YAML_FILES = sorted([ROOT / "otel-collector.yaml", *DOCKER.rglob("*.yaml")])

RENAMED: dict[str, dict[str, str]] = {
    "receivers": {"hostmetrics": "host_metrics", "httpcheck": "http_check"},
    "processors": {
        "resourcedetection": "resource_detection",
        "batch": "sending_queue.batch of the exporter",
    },
    "exporters": {"otlp": "otlp_grpc", "otlphttp": "otlp_http", "logging": "debug"},
    "connectors": {"spanmetrics": "span_metrics"},
    "extensions": {},
}
"""Component names that are deprecated aliases (collector-contrib #45339, collector #14403 and
#14396) or superseded (collector docs/rfcs/batching-migration.md), as of 0.159."""


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def collector() -> dict[str, Any]:
    loaded: dict[str, Any] = load(ROOT / "otel-collector.yaml")
    return loaded


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = load(DOCKER / "compose.yaml")
    return loaded


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_is_well_formed(path: Path) -> None:
    assert isinstance(load(path), dict)
    assert "\t" not in path.read_text()


# -- the collector --------------------------------------------------------------------


def test_no_component_has_a_deprecated_name(collector: dict[str, Any]) -> None:
    for section, renamed in RENAMED.items():
        used = {name.split("/")[0] for name in collector.get(section, {})}
        assert not used & set(renamed), section


def test_all_that_is_used_is_defined_and_all_that_is_defined_is_used(
    collector: dict[str, Any],
) -> None:
    service = collector["service"]
    assert set(service["extensions"]) == set(collector["extensions"])
    for section in ("receivers", "processors", "exporters"):
        used = {name for pipe in service["pipelines"].values() for name in pipe[section]}
        assert used == set(collector[section])


def test_memory_is_guarded_first_in_every_pipeline(collector: dict[str, Any]) -> None:
    pipelines = collector["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics"}
    assert all(pipe["processors"][0] == "memory_limiter" for pipe in pipelines.values())


def test_exporters_batch_in_their_queue(collector: dict[str, Any]) -> None:
    for name, exporter in collector["exporters"].items():
        assert "batch" in exporter["sending_queue"], name


def test_the_collector_speaks_both_protocols_and_is_open_to_nobody_by_default(
    collector: dict[str, Any],
) -> None:
    listen = "${env:COLLECTOR_LISTEN:-127.0.0.1}"
    protocols = collector["receivers"]["otlp"]["protocols"]
    assert protocols["grpc"]["endpoint"] == f"{listen}:4317"
    assert protocols["http"]["endpoint"] == f"{listen}:4318"
    assert collector["extensions"]["health_check"]["endpoint"] == f"{listen}:13133"


def test_variables_of_the_collector_are_set_by_compose(
    collector: dict[str, Any], compose: dict[str, Any]
) -> None:
    service = compose["services"]["collector"]
    found = dict(re.findall(r"\$\{env:(\w+):-([^}]+)\}", json.dumps(collector)))
    storage = found.pop("COLLECTOR_STORAGE")
    assert set(found) <= set(service["environment"])
    assert f"collector:{storage}" in service["volumes"]
    assert "$" not in re.sub(r"\$\{env:\w+:-[^}]+\}", "", json.dumps(collector))


def test_what_is_queued_outlives_the_collector(collector: dict[str, Any]) -> None:
    for name, exporter in collector["exporters"].items():
        assert exporter["sending_queue"]["storage"] == "file_storage", name
        assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, name


def test_deltas_are_taken_as_they_are(collector: dict[str, Any], compose: dict[str, Any]) -> None:
    flags = " ".join(compose["services"]["prometheus"]["command"])
    assert "otlp-native-delta-ingestion" in flags
    assert "--web.enable-otlp-receiver" in flags
    assert not [name for name in collector["processors"] if name.startswith("deltatocumulative")]
    assert collector["service"]["pipelines"]["metrics"]["exporters"] == ["otlp_http/prometheus"]


# -- compose --------------------------------------------------------------------------


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", service["image"]), name


def test_images_are_of_the_versions_that_the_tests_run(compose: dict[str, Any]) -> None:
    pins = (ROOT / "scripts/clients/stack").read_text()
    built = {line.split()[1]: line for line in pins.splitlines() if line and line[0] != "#"}
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images["collector"].split(":")[1] in built["otelcol"].split()
    major, minor, patch = images["prometheus"].split(":v")[1].split(".")
    assert f"prometheus@v0.{100 * int(major) + int(minor)}.{patch} " in built["prometheus"]
    # Jaeger has two versions for one commit: 1.76.0 is 2.13.0, and so on.
    major, minor, patch = images["jaeger"].split(":")[1].split(".")
    assert f"jaeger@v{int(major) - 1}.{int(minor) + 63}.{patch} " in built["jaeger"]


def test_every_port_is_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) == 6
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_has_a_memory_limit_a_small_log_and_a_health_check(
    compose: dict[str, Any],
) -> None:
    # One ends when its work is done; one's image has the check (docker/Dockerfile).
    without = {"collector-storage", "gateway"}
    for name, service in compose["services"].items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name
        if name in without:
            continue
        # The collector's image can run nothing but the collector; a neighbour asks for it.
        asked = compose["services"]["collector-health"] if name == "collector" else service
        assert asked["healthcheck"]["test"][0] == "CMD", name


def test_what_is_mounted_exists_and_every_volume_is_used(compose: dict[str, Any]) -> None:
    mounted: set[str] = set()
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), source
            else:
                mounted.add(source)
    assert mounted == set(compose["volumes"])


def test_dependencies_are_services_that_tell_their_health(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[name], name
