"""The shipped stack on real programs: Collector, Jaeger and Prometheus, without containers.

with Stack(directory) as stack:
    subprocess.run([...], env={**env, **stack.env})  # tokenproxy run ...
    stack.prometheus.value("sum(sum_over_time(tokenproxy_calls_total[1h]))")

The configuration is the one that users get: ``otel-collector.yaml``, ``docker/jaeger.yaml``,
``docker/prometheus.yaml`` and the flags of ``docker/compose.yaml``. Only addresses and
directories are other ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.real.stack import programs
from tests.real.stack.jaeger import Jaeger
from tests.real.stack.prometheus import Prometheus
from tests.real.stack.service import HOST, Service, free_ports

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ports:
    """Where the programs listen. The defaults are the shipped ones."""

    otlp_grpc: int = 4317
    otlp_http: int = 4318
    collector_health: int = 13133
    jaeger: int = 16686
    jaeger_grpc: int = 16685
    jaeger_otlp: int = 14317
    jaeger_health: int = 14133
    prometheus: int = 9090

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on."""
        return cls(*free_ports(8))


class Stack:
    """The three programs; a context manager that starts and stops them."""

    NAMES = ("jaeger", "prometheus", "collector")
    """In the order in which they are started: who receives comes before who sends."""

    def __init__(self, directory: Path, ports: Ports | None = None) -> None:
        """Prepare.

        Args:
            directory: Existing directory for data and logs.
            ports: Where to listen; free ones by default.
        """
        self.ports = ports or Ports.free()
        self.directory = directory
        self.prometheus = Prometheus(f"http://{HOST}:{self.ports.prometheus}")
        self.jaeger = Jaeger(f"http://{HOST}:{self.ports.jaeger}")
        made = (self._jaeger(), self._prometheus(), self._collector())
        self.services = dict(zip(self.NAMES, made, strict=True))

    @property
    def collector(self) -> Service:
        """The Collector's process."""
        return self.services["collector"]

    @property
    def env(self) -> dict[str, str]:
        """What a user sets to send telemetry here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{self.ports.otlp_http}"}

    def __enter__(self) -> Self:
        try:
            for service in self.services.values():
                service.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop what runs, senders first."""
        for service in reversed(self.services.values()):
            service.stop()

    def _service(
        self, name: str, argv: list[str | Path], ready: str, env: Mapping[str, str] | None = None
    ) -> Service:
        own = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **(env or {})}
        return Service(argv, env=own, log=self.directory / f"{name}.log", ready=ready)

    def _collector(self) -> Service:
        ports = self.ports
        return self._service(
            "collector",
            [
                programs.collector(),
                f"--config={ROOT / 'otel-collector.yaml'}",
                _endpoint("receivers::otlp::protocols::grpc", ports.otlp_grpc),
                _endpoint("receivers::otlp::protocols::http", ports.otlp_http),
                _endpoint("extensions::health_check", ports.collector_health),
            ],
            f"http://{HOST}:{ports.collector_health}/",
            {
                "COLLECTOR_STORAGE": str(self.directory / "collector"),
                "JAEGER_ENDPOINT": f"{HOST}:{ports.jaeger_otlp}",
                "PROMETHEUS_ENDPOINT": f"http://{HOST}:{ports.prometheus}/api/v1/otlp",
            },
        )

    def _jaeger(self) -> Service:
        ports = self.ports
        return self._service(
            "jaeger",
            [
                programs.jaeger(),
                f"--config={ROOT / 'docker/jaeger.yaml'}",
                _endpoint("receivers::otlp::protocols::grpc", ports.jaeger_otlp),
                _endpoint("extensions::jaeger_query::http", ports.jaeger),
                _endpoint("extensions::jaeger_query::grpc", ports.jaeger_grpc),
                _endpoint("extensions::healthcheckv2::http", ports.jaeger_health),
            ],
            f"http://{HOST}:{ports.jaeger}/api/services",
        )

    def _prometheus(self) -> Service:
        other = {
            "--config.file": ROOT / "docker/prometheus.yaml",
            "--storage.tsdb.path": self.directory / "prometheus",
        }
        compose: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
        flags = [flag.partition("=") for flag in compose["services"]["prometheus"]["command"]]
        return self._service(
            "prometheus",
            [
                programs.prometheus(),
                *(f"{name}{equals}{other.get(name, value)}" for name, equals, value in flags),
                f"--web.listen-address={HOST}:{self.ports.prometheus}",
            ],
            f"{self.prometheus.url}/-/ready",
        )


def _endpoint(path: str, port: int) -> str:
    return f"--config=yaml:{path}::endpoint: {HOST}:{port}"
