"""The collectors of ``docker/scale/`` on the real program: an edge, gateways, what reads Kafka.

with Scale(directory, clickhouse) as scale:
    subprocess.run([...], env={**env, **scale.env})  # tokenproxy run ...
    scale.gateways[0].kill()

The configuration is the one that users get. Only addresses and directories are other ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real.stack import programs
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.names import Names
from tests.real.stack.service import HOST, Service, free_ports
from tests.telemetry.receiver import OtlpReceiver

FILES = Path(__file__).parents[3] / "docker" / "scale"
GATEWAY_HOSTS = (HOST, "127.0.0.2")
"""One port at two addresses, as the machines behind one name have them. Linux answers on all of
127.0.0.0/8."""
GATEWAYS = "gateways.test"
"""The name that they are behind."""
SENT = "otelcol_exporter_sent_spans"
"""The collectors' own counter."""


class Scale:
    """An edge, two gateways and, for Kafka, a reader; a context manager that starts and stops."""

    def __init__(
        self,
        directory: Path,
        clickhouse: ClickHouse,
        *,
        clickhouse_port: int | None = None,
        kafka: str | None = None,
        edge_files: Sequence[str] = (),
        edge_env: Mapping[str, str] | None = None,
        gateway_env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            directory: Existing directory for queues and logs.
            clickhouse: Where the spans go.
            clickhouse_port: Instead of ClickHouse's own, of what stands before it.
            kafka: Brokers that stand between gateways and ClickHouse.
            edge_files: Laid over ``edge.yaml``.
            edge_env: Further variables of the edge.
            gateway_env: Further variables of the gateways.
        """
        self._directory = directory
        grpc, self._otlp_http, edge_grpc, *health = free_ports(7)
        self._names = Names(GATEWAY_HOSTS)
        self.measurements = OtlpReceiver().start()
        endpoint = clickhouse.exporter_endpoint
        if clickhouse_port is not None:
            endpoint = endpoint.replace(f":{clickhouse.port}/", f":{clickhouse_port}/")
        to_clickhouse = {
            "CLICKHOUSE_ENDPOINT": endpoint,
            "CLICKHOUSE_DATABASE": clickhouse.database,
            "CLICKHOUSE_PASSWORD": clickhouse.password,
        }
        of_kafka = {"KAFKA_BROKERS": kafka} if kafka else {}
        self.edge = self._collector(
            "edge",
            ["edge.yaml", *edge_files],
            health[0],
            [
                _endpoint("receivers::otlp::protocols::grpc", HOST, edge_grpc),
                _endpoint("receivers::otlp::protocols::http", HOST, self._otlp_http),
            ],
            {
                "GATEWAYS": f"dns://{self._names.address}/{GATEWAYS}:{grpc}",
                "GATEWAY_INSECURE": "true",
                **(edge_env or {}),
            },
        )
        self.gateways = [
            self._collector(
                f"gateway-{number}",
                ["gateway-kafka.yaml" if kafka else "gateway.yaml"],
                health[number],
                [_endpoint("receivers::otlp::protocols::grpc", host, grpc)],
                {**to_clickhouse, **of_kafka, **(gateway_env or {})},
            )
            for number, host in enumerate(GATEWAY_HOSTS, 1)
        ]
        self.readers = [
            self._collector(
                "from-kafka", ["from-kafka.yaml"], health[3], [], {**to_clickhouse, **of_kafka}
            )
        ][: 1 if kafka else 0]

    @property
    def env(self) -> dict[str, str]:
        """What a user sets to send spans here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{self._otlp_http}",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_RESOURCE_ATTRIBUTES": "team.id=search,deployment.environment.name=test",
        }

    @property
    def services(self) -> list[Service]:
        """All collectors, receivers before senders."""
        return [*self.readers, *self.gateways, self.edge]

    def __enter__(self) -> Self:
        self._names.start()
        try:
            for service in self.services:
                service.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for service in reversed(self.services):
            service.stop()
        self._names.stop()
        self.measurements.stop()

    def sent(self) -> dict[str, int]:
        """Name of a collector -> spans that it says it has passed on, of its last life."""
        points = [p for p in self.measurements.metrics if p.metric.startswith(SENT)]
        return {str(p.resource["service.instance.id"]): int(p.value) for p in points}

    def _collector(
        self,
        name: str,
        files: Sequence[str],
        health: int,
        overlays: Sequence[str],
        env: Mapping[str, str],
    ) -> Service:
        return Service(
            [
                programs.collector(),
                *(f"--config={FILES / file}" for file in (*files, "telemetry.yaml")),
                *overlays,
                _endpoint("extensions::health_check", HOST, health),
            ],
            env={
                "PATH": os.environ["PATH"],
                "COLLECTOR_STORAGE": str(self._directory / name),
                "COLLECTOR_NAME": name,
                "TELEMETRY_ENDPOINT": self.measurements.endpoint,
                **env,
            },
            log=self._directory / f"{name}.log",
            ready=f"http://{HOST}:{health}/",
        )


def _endpoint(path: str, host: str, port: int) -> str:
    return f"--config=yaml:{path}::endpoint: {host}:{port}"
