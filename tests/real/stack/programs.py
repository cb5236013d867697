"""Where the real backends are: what ``scripts/install-clients stack`` has built."""

from __future__ import annotations

from pathlib import Path

from tests.real import needs


def collector() -> Path:
    """The OpenTelemetry Collector, with the components that our files name."""
    return needs.backend("collector", "otelcol", "bin/otelcol")


def jaeger() -> Path:
    """Jaeger 2."""
    return needs.backend("go", "jaeger", "bin/jaeger")


def prometheus() -> Path:
    """Prometheus 3."""
    return needs.backend("go", "prometheus", "bin/prometheus")


def promtool() -> Path:
    """Prometheus' checker of rules."""
    return needs.backend("go", "prometheus", "bin/promtool")


def chdb_python() -> Path:
    """The Python that holds chdb, which is ClickHouse without a server."""
    return needs.backend("pip", "chdb", "bin/python")
