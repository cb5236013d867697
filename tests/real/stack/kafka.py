"""A real Kafka broker on loopback: one node that is its own controller.

with Kafka(directory) as kafka:
    kafka.create("tokenproxy_spans", partitions=2)
    subprocess.run([collector, ...], env={"KAFKA_BROKERS": kafka.brokers})
    kafka.behind("tokenproxy-clickhouse")

The jars are what ``scripts/clients/maven`` has put into the cache; Java runs them.
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real import needs
from tests.real.stack.service import HOST, Service, free_ports

CLUSTER = "tokenproxytokenproxyQQ"
"""A cluster's id: 16 bytes in base64."""


def jars() -> Path:
    """The directory of Kafka's jars and of all that they need."""
    return needs.backend("maven", "kafka", "lib")


class Kafka(Service):
    """A broker; a context manager that starts and stops it."""

    def __init__(self, directory: Path) -> None:
        """Prepare.

        Args:
            directory: Existing directory for data and log.
        """
        self._port, controller = free_ports(2)
        self._directory = directory
        self._settings = directory / "kafka.properties"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self._port},CONTROLLER://{HOST}:{controller}",
            "log.dirs": directory / "kafka",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
        }
        lines = (f"{name}={value}\n" for name, value in settings.items())
        self._settings.write_text("".join(lines))
        self._java = [
            str(needs.language("java")),
            "-Xmx384m",
            "-XX:TieredStopAtLevel=1",  # it lives for seconds: compiling well is not worth it
            "-cp",
            f"{jars()}/*",
        ]
        super().__init__(
            [*self._java, "kafka.Kafka", self._settings],
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            log=directory / "kafka.log",
            ready="",  # it speaks no HTTP: see below
        )

    @property
    def brokers(self) -> str:
        """For ``KAFKA_BROKERS``."""
        return f"{HOST}:{self._port}"

    def __enter__(self) -> Self:
        format_ = ("format", "--cluster-id", CLUSTER, "--config", str(self._settings))
        self._tool("kafka.tools.StorageTool", *format_)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic."""
        self._ask("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions))

    def produce(self, topic: str, message: bytes) -> None:
        """Send one message of one line."""
        self._ask("ConsoleProducer", "--topic", topic, stdin=message)

    def messages(self, topic: str) -> int:
        """How many messages a topic has got."""
        said = self._ask("GetOffsetShell", "--topic", topic)
        return sum(int(line.rpartition(":")[2]) for line in said.splitlines())

    def behind(self, group: str) -> int:
        """How many messages a group has yet to commit.

        Raises:
            AssertionError: it has committed none, so Kafka does not know it.
        """
        said = self._ask("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        header, *lines = (line.split() for line in said.splitlines() if line.strip())
        assert "LAG" in header, said
        lag, last = header.index("LAG"), header.index("LOG-END-OFFSET")
        # "-" where of a partition nothing was committed yet: all of it is behind.
        return sum(int(line[last] if line[lag] == "-" else line[lag]) for line in lines)

    def _ask(self, command: str, *arguments: str, stdin: bytes = b"") -> str:
        return self._tool(
            f"org.apache.kafka.tools.{command}",
            "--bootstrap-server",
            self.brokers,
            *arguments,
            stdin=stdin,
        )

    def _tool(self, name: str, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            [*self._java, name, *arguments],
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()[-2000:]
        return done.stdout.decode()

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((HOST, self._port), timeout=2).close()
        except OSError:
            return False
        return True
