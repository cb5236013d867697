"""The files of ``docker/scale/``: whole, pinned, closed to the network, and losing nothing.

What the real programs make of them is tested in ``tests/real/stack/test_scale_*.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.test_stack_files import RENAMED, load

SCALE = Path(__file__).parent.parent / "docker" / "scale"
COLLECTORS = ("edge", "gateway", "gateway-kafka", "from-kafka")
OVERLAYS = ("edge-resource", "telemetry")
VARIABLE = re.compile(r"\$\{env:(\w+)")


def config(name: str) -> dict[str, Any]:
    """A collector's file."""
    loaded: dict[str, Any] = load(SCALE / f"{name}.yaml")
    return loaded


def head(name: str) -> str:
    """The comment that a file begins with."""
    return (SCALE / f"{name}.yaml").read_text().partition("\n\n")[0]


def exporter(name: str) -> dict[str, Any]:
    """The one exporter of a collector."""
    (only,) = config(name)["exporters"].values()
    settings: dict[str, Any] = only
    return settings


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = load(SCALE / "compose.yaml")
    return loaded


def test_every_file_is_known_here() -> None:
    assert {path.stem for path in SCALE.glob("*.yaml")} == {*COLLECTORS, *OVERLAYS, "compose"}


# -- the collectors -------------------------------------------------------------------


@pytest.mark.parametrize("name", COLLECTORS)
def test_no_component_has_a_deprecated_name(name: str) -> None:
    for section, renamed in RENAMED.items():
        used = {component.split("/")[0] for component in config(name).get(section, {})}
        assert not used & set(renamed), section


@pytest.mark.parametrize("name", COLLECTORS)
def test_all_that_is_used_is_defined_and_all_that_is_defined_is_used(name: str) -> None:
    collector = config(name)
    service = collector["service"]
    assert set(service["extensions"]) == set(collector["extensions"])
    for section in ("receivers", "processors", "exporters"):
        used = {part for pipe in service["pipelines"].values() for part in pipe[section]}
        assert used == set(collector[section])


@pytest.mark.parametrize("name", COLLECTORS)
def test_spans_alone_pass_and_memory_is_guarded_first(name: str) -> None:
    pipelines = config(name)["service"]["pipelines"]
    assert set(pipelines) == {"traces"}
    assert pipelines["traces"]["processors"] == ["memory_limiter"]


@pytest.mark.parametrize("name", COLLECTORS)
def test_nothing_is_given_up_and_batches_are_made_in_the_queue(name: str) -> None:
    settings = exporter(name)
    assert settings["retry_on_failure"]["max_elapsed_time"] == 0
    batch = settings["sending_queue"]["batch"]
    assert 0 < batch["min_size"] <= batch["max_size"]


@pytest.mark.parametrize("name", COLLECTORS)
def test_what_was_taken_is_on_disk_or_still_in_kafka(name: str) -> None:
    queue = exporter(name)["sending_queue"]
    if name == "from-kafka":
        marking = config(name)["receivers"]["kafka"]["message_marking"]
        assert (queue["wait_for_result"], queue["block_on_overflow"]) == (True, True)
        assert (marking["after"], marking["on_error"]) == (True, False)
        assert "storage" not in queue
    else:
        storage = config(name)["extensions"][queue["storage"]]
        assert storage["fsync"] == "${env:COLLECTOR_FSYNC:-true}"
        assert queue["sizer"] == "bytes"


def test_no_message_is_larger_than_what_the_next_one_takes() -> None:
    # A gRPC server takes 4 MiB unless told otherwise; Kafka's producer what it is told to.
    assert exporter("edge")["sending_queue"]["batch"]["max_size"] < 4 << 20
    kafka = exporter("gateway-kafka")
    assert kafka["sending_queue"]["batch"]["max_size"] < kafka["producer"]["max_message_bytes"]


@pytest.mark.parametrize("name", ["gateway", "from-kafka"])
def test_inserts_are_large_and_tables_are_not_made_by_collectors(name: str) -> None:
    settings = exporter(name)
    batch = settings["sending_queue"]["batch"]
    assert batch.get("sizer", settings["sending_queue"]["sizer"]) == "items"
    assert batch["min_size"] >= 5000
    assert (settings["create_schema"], settings["async_insert"]) == (False, False)


def test_every_replica_has_to_have_what_kafka_says_it_has() -> None:
    producer = exporter("gateway-kafka")["producer"]
    assert (producer["required_acks"], producer["allow_auto_topic_creation"]) == ("all", False)


def test_both_gateways_differ_only_in_where_they_send() -> None:
    plain, kafka = config("gateway"), config("gateway-kafka")
    for section in ("extensions", "receivers", "processors"):
        assert plain[section] == kafka[section], section


@pytest.mark.parametrize("name", COLLECTORS)
def test_nothing_is_open_to_the_network_by_default(name: str) -> None:
    listening = re.findall(r'"endpoint": "([^"]*):(\d+)"', json.dumps(config(name)))
    servers = [host for host, port in listening if port in {"4317", "4318", "13133"}]
    servers = [host for host in servers if not host.startswith("${env:GATEWAYS")]
    assert set(servers) == {"${env:COLLECTOR_LISTEN:-127.0.0.1}"}
    assert config("edge")["exporters"]["otlp_grpc/gateways"]["tls"]["insecure"] == (
        "${env:GATEWAY_INSECURE:-false}"
    )


@pytest.mark.parametrize("name", [*COLLECTORS, *OVERLAYS])
def test_variables_are_told_at_the_head_of_the_file(name: str) -> None:
    used = set(VARIABLE.findall(json.dumps(config(name))))
    told = head(name)
    if name == "gateway-kafka":
        told += head("gateway")
    if name == "from-kafka":
        told += head("gateway") + head("gateway-kafka")
    assert used
    assert {variable for variable in used if variable not in told} == set()


# -- compose --------------------------------------------------------------------------


def test_every_image_is_pinned_and_of_one_collector(compose: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items()}
    for name, image in images.items():
        assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+\.\d+(\.\d+)?", image), name
    collector = load(SCALE.parent / "compose.yaml")["services"]["collector"]["image"]
    assert {image for image in images.values() if "opentelemetry" in image} == {collector}


def test_every_port_is_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_has_a_memory_limit_and_a_small_log(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name


def test_everything_that_runs_on_is_asked_how_it_is(compose: dict[str, Any]) -> None:
    services = compose["services"]
    asked = {name for name, service in services.items() if "healthcheck" in service}
    for service in services.values():
        # The collectors' image can run nothing but the collector; a neighbour asks for it.
        asked |= set(service.get("environment", {}).get("COLLECTORS", "").split())
    ends = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert asked | ends == set(services)
    assert not asked & ends


def test_what_is_mounted_exists_and_every_volume_is_used(compose: dict[str, Any]) -> None:
    mounted: set[str] = set()
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (SCALE / source).exists(), source
            else:
                mounted.add(source)
    assert mounted == set(compose["volumes"])


def test_each_queue_belongs_to_one_collector(compose: dict[str, Any]) -> None:
    queues = [
        volume
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.endswith(":/var/lib/otelcol")
    ]
    assert len(queues) == len(set(queues)) == 3


def test_the_edge_finds_both_gateways_by_the_name_that_it_asks_for(
    compose: dict[str, Any],
) -> None:
    assert exporter("edge")["endpoint"] == "${env:GATEWAYS:-dns:///gateway:4317}"
    aliases = [
        alias
        for service in compose["services"].values()
        for alias in service.get("networks", {}).get("default", {}).get("aliases", ())
    ]
    assert aliases == ["gateway", "gateway"]


def test_only_what_kafka_needs_waits_for_its_profile(compose: dict[str, Any]) -> None:
    later = {name for name, service in compose["services"].items() if "profiles" in service}
    assert later == {"kafka", "kafka-topic", "from-kafka", "from-kafka-health"}
    for name, service in compose["services"].items():
        assert name in later or not later & set(service.get("depends_on", {})), name


def test_the_topic_that_is_made_is_the_one_that_is_used(compose: dict[str, Any]) -> None:
    topic = exporter("gateway-kafka")["traces"]["topic"]
    assert config("from-kafka")["receivers"]["kafka"]["traces"]["topics"] == [topic]
    name = topic.removeprefix("${env:KAFKA_TOPIC:-").removesuffix("}")
    assert f"--topic={name}" in compose["services"]["kafka-topic"]["command"]
    assert f"--topic {name} " in head("gateway-kafka")


def test_the_collectors_know_the_database_and_its_user(compose: dict[str, Any]) -> None:
    clickhouse = compose["services"]["clickhouse"]
    (first, *_) = sorted((SCALE / "clickhouse").glob("*.sql"))
    for name in ("gateway", "from-kafka"):
        settings = exporter(name)
        user = clickhouse["environment"]["CLICKHOUSE_USER"]
        assert settings["username"] == f"${{env:CLICKHOUSE_USER:-{user}}}"
        assert settings["database"] == "${env:CLICKHOUSE_DATABASE:-tokenproxy}"
    assert "CREATE DATABASE IF NOT EXISTS tokenproxy;" in first.read_text()
