"""A real ClickHouse without a server: chdb behind :mod:`tests.real.stack.clickhouse_server`.

with ClickHouse(directory) as clickhouse:
    clickhouse.create_tables()                  # docker/scale/clickhouse/*.sql
    clickhouse.ask("SELECT count() FROM calls FINAL")
    subprocess.run([collector, ...], env={"CLICKHOUSE_ENDPOINT": clickhouse.exporter_endpoint})
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from tests.real.stack import programs
from tests.real.stack.service import HOST, Service, free_ports

ROOT = Path(__file__).parents[3]
TABLES = ROOT / "docker" / "scale" / "clickhouse"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Read(NamedTuple):
    """What the last query cost."""

    rows: int
    bytes: int
    seconds: float


class ClickHouse:
    """ClickHouse on a port of loopback; a context manager that starts and stops it."""

    def __init__(
        self, directory: Path, *, database: str = "tokenproxy", password: str = ""
    ) -> None:
        """Prepare.

        Args:
            directory: Existing directory for data and log.
            database: Where :meth:`ask` asks; made by :meth:`create_tables`.
            password: Of the user ``default``.
        """
        self.database = database
        self.password = password
        (self.port,) = free_ports(1)
        self.last = Read(0, 0, 0.0)
        self._service = Service(
            [
                programs.chdb_python(),
                Path(__file__).with_name("clickhouse_server.py"),
                directory / "data",
                str(self.port),
                password,
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory)},
            log=directory / "clickhouse.log",
            ready=f"http://{HOST}:{self.port}/ping",
        )

    @property
    def exporter_endpoint(self) -> str:
        """For the Collector's ClickHouse exporter."""
        return f"http://{HOST}:{self.port}/{self.database}?compress=gzip"

    @property
    def source(self) -> str:
        """For ``tokenproxy report --source``."""
        user = f"default:{self.password}@" if self.password else ""
        return f"clickhouse://{user}{HOST}:{self.port}/{self.database}"

    def __enter__(self) -> Self:
        self._service.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._service.stop()

    @property
    def pid(self) -> int:
        """Of the process that holds the data."""
        return self._service.pid

    def said(self) -> str:
        """What it refused."""
        return self._service.said()

    def create_tables(self) -> None:
        """Make the database and the tables that we ship."""
        self.ask(f"CREATE DATABASE IF NOT EXISTS `{self.database}`", database="default")
        for statement in statements():
            self.ask(statement)

    def keep_all(self) -> None:
        """Let no row grow too old: tests' calls have dates of their own."""
        for table in ("otel_traces", "otel_traces_trace_id_ts", "calls"):
            self.ask(f"ALTER TABLE {table} REMOVE TTL")

    def ask(
        self, sql: str, data: bytes = b"", *, database: str | None = None, **parameters: object
    ) -> list[dict[str, Any]]:
        """Run a statement; the rows that it gives.

        Args:
            sql: One statement without a FORMAT, unless data follows it.
            data: What is inserted.
            database: Instead of the own one.
            parameters: Values of ``{name:Type}``.

        Raises:
            AssertionError: with ClickHouse's own words.
        """
        asked = {
            "database": database or self.database,
            "password": self.password,
            "default_format": "JSONEachRow",
            **{f"param_{name}": value for name, value in parameters.items()},
        }
        body = sql.encode()
        if data:
            asked["query"] = sql
            body = data
        request = urllib.request.Request(f"http://{HOST}:{self.port}/?{urlencode(asked)}", body)
        try:
            with _OPENER.open(request, timeout=600) as answer:
                text: bytes = answer.read()
                summary = json.loads(answer.headers["X-ClickHouse-Summary"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.read().decode()}\n{sql[:2000]}") from None
        self.last = Read(
            int(summary["read_rows"]), int(summary["read_bytes"]), int(summary["elapsed_ns"]) / 1e9
        )
        return [json.loads(line) for line in text.splitlines() if line.startswith(b"{")]

    def value(self, sql: str, **parameters: object) -> Any:
        """The one value that a query gives."""
        ((found,),) = (row.values() for row in self.ask(sql, **parameters))  # type: ignore[arg-type]
        return found


def statements() -> Iterator[str]:
    """The statements of the tables that we ship, in their order."""
    for file in sorted(TABLES.glob("*.sql")):
        lines = [
            line for line in file.read_text().splitlines() if not line.lstrip().startswith("--")
        ]
        yield from (one.strip() for one in "\n".join(lines).split(";\n") if one.strip(" \n;"))
