"""Kafka between gateways and ClickHouse: a real broker, and each call counted once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.e2e.bench import Bench, wait_until
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.kafka import Kafka, jars
from tests.real.stack.scale import FILES, Scale
from tests.real.stack.stored import in_ledger, stored
from tests.real.stack.test_scale_collectors import ARRIVES_S, arrived, assert_account, run_loops

TOPIC = "tokenproxy_spans"
GROUP = "tokenproxy-clickhouse"
UNREADABLE = b"this is no OTLP\n"


def all_committed(kafka: Kafka) -> bool:
    """Whether the reader has taken its note of every message."""
    return kafka.behind(GROUP) == 0


def test_the_broker_is_the_one_that_compose_starts() -> None:
    image = yaml.safe_load((FILES / "compose.yaml").read_text())["services"]["kafka"]["image"]
    assert (jars() / f"kafka-server-{image.partition(':')[2]}.jar").exists()


@pytest.mark.timeout(600)
def test_spans_go_through_kafka_and_nothing_is_lost(bench: Bench, tmp_path: Path) -> None:
    clickhouse = ClickHouse(tmp_path, database="tokenproxy")
    with Kafka(tmp_path) as kafka:
        kafka.create(TOPIC, partitions=2)
        with Scale(tmp_path, clickhouse, kafka=kafka.brokers) as scale:
            (reader,) = scale.readers
            with clickhouse:
                clickhouse.create_tables()
                run_loops(bench, scale)
                assert_account(bench, clickhouse)
                # What nobody can read stands in the way of nothing behind it.
                for _ in range(4):
                    kafka.produce(TOPIC, UNREADABLE)
                run_loops(bench, scale)
                assert_account(bench, clickhouse)
                wait_until(lambda: all_committed(kafka), ARRIVES_S, "not committed")
                assert "skipping due to message_marking config" in reader.said()

            # ClickHouse has gone: Kafka keeps what comes, and the reader commits nothing.
            before = kafka.messages(TOPIC)
            run_loops(bench, scale)
            wait_until(lambda: kafka.messages(TOPIC) > before, ARRIVES_S, "Kafka got nothing")
            wait_until(lambda: "Will retry" in reader.said(), ARRIVES_S, "nothing was tried")
            reader.stop()
            assert kafka.behind(GROUP) > 0, "it took a note of what was not stored"
            reader.start()
            reader.kill()

            # Kafka has gone, too: the gateways keep it.
            kafka.kill()
            run_loops(bench, scale)
            for gateway in scale.gateways:
                gateway.kill()
                gateway.start()
            kafka.start()
            with clickhouse:
                assert arrived(clickhouse) < len(bench.rows())
                reader.start()
                assert_account(bench, clickhouse)
                wait_until(lambda: all_committed(kafka), ARRIVES_S, "not committed")
                assert stored(clickhouse) == in_ledger(bench.rows())
            for service in scale.services:
                assert "deprecat" not in service.said().lower()
