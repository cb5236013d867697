"""Edge, gateways and ClickHouse: each call arrives and is counted once, whatever is killed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.e2e.bench import Bench, wait_until
from tests.real.stack import programs
from tests.real.stack.certificates import Authority
from tests.real.stack.clickhouse import ClickHouse
from tests.real.stack.loops import Loops
from tests.real.stack.lost_answers import LostAnswers
from tests.real.stack.scale import FILES, GATEWAYS, Scale
from tests.real.stack.stored import in_ledger, stored

COMMANDS = (
    ["edge.yaml"],
    ["edge.yaml", "edge-resource.yaml"],
    ["gateway.yaml"],
    ["gateway-kafka.yaml"],
    ["from-kafka.yaml"],
)
HOSTS = "SELECT DISTINCT ResourceAttributes['host.name'] AS host FROM otel_traces"
ARRIVES_S = 90
"""Both collectors wait five seconds for a batch to fill; a sender that was refused, up to 30."""


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    """A ClickHouse with the tables that we ship."""
    made = ClickHouse(tmp_path, database="tokenproxy", password="of the collectors")
    with made:
        made.create_tables()
        yield made


def run_loops(bench: Bench, scale: Scale, times: int = 1) -> None:
    """Three loops at once: an agent of four providers, curl, an agent that retries."""
    runs = Loops(bench, scale.env).run(mixed=times, curl=3 * times, agent=2 * times)
    # What never reached the edge is not the collectors' loss; a machine under load is late.
    assert not [run.stderr for run in runs if "telemetry: the collector" in run.stderr]


def arrived(clickhouse: ClickHouse) -> int:
    """Calls that have arrived, however often."""
    return int(clickhouse.value("SELECT uniqExact(call_id) AS calls FROM calls"))


def assert_account(bench: Bench, clickhouse: ClickHouse) -> None:
    """What ClickHouse has becomes, and is, what the ledger has."""
    rows = bench.rows()
    wait_until(lambda: arrived(clickhouse) >= len(rows), ARRIVES_S, "calls are missing")
    assert stored(clickhouse) == in_ledger(rows)


@pytest.mark.parametrize("own", [[], ["telemetry.yaml"]], ids=["", "telemetry"])
@pytest.mark.parametrize("files", COMMANDS, ids="+".join)
def test_the_collector_takes_every_file(files: list[str], own: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            programs.collector(),
            "validate",
            *(f"--config={FILES / file}" for file in (*files, *own)),
        ],
        env={
            "PATH": os.environ["PATH"],
            "COLLECTOR_STORAGE": str(tmp_path),
            "CLICKHOUSE_PASSWORD": "x",
            "TEAM_ID": "search",
            "HOST_NAME": "a-host",
            "COLLECTOR_NAME": "one",
            "TELEMETRY_ENDPOINT": "http://127.0.0.1:1",
        },
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_clickhouse_is_of_the_release_that_compose_starts(clickhouse: ClickHouse) -> None:
    services = yaml.safe_load((FILES / "compose.yaml").read_text())["services"]
    release = services["clickhouse"]["image"].partition(":")[2].split(".")[:2]
    assert clickhouse.value("SELECT version() AS version").split(".")[:2] == release


@pytest.mark.timeout(300)
def test_calls_are_stored_once_each_and_add_up(
    bench: Bench, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    with Scale(tmp_path, clickhouse) as scale:
        run_loops(bench, scale, 2)
        assert_account(bench, clickhouse)
        spans = int(clickhouse.value("SELECT count() AS spans FROM otel_traces"))
        # As they end they tell the last of what they did.
        for service in reversed(scale.services):
            service.stop()
        sent = scale.sent()
        assert set(sent) == {"edge", "gateway-1", "gateway-2"}, "a gateway got nothing"
        assert sent["edge"] == sent["gateway-1"] + sent["gateway-2"] == spans
        for service in scale.services:
            said = service.said()
            assert not {word for word in ("\twarn\t", "\terror\t", "eprecat") if word in said}, said
    assert clickhouse.value("SELECT DISTINCT team FROM calls") == "search"
    assert clickhouse.value(HOSTS) == "", "no machine is named unless asked for"


@pytest.mark.timeout(600)
def test_nothing_is_lost_when_collectors_are_killed_and_clickhouse_is_away(
    bench: Bench, tmp_path: Path
) -> None:
    away = ClickHouse(tmp_path, database="tokenproxy")
    with ExitStack() as all_of_it:
        with away:
            away.create_tables()
            scale = all_of_it.enter_context(Scale(tmp_path, away))
            first, second = scale.gateways
            with ThreadPoolExecutor(1) as beside:
                running = beside.submit(run_loops, bench, scale)
                wait_until(bench.rows, 60)
                first.kill()
                running.result()
            first.start()
            wait_until(lambda: arrived(away), ARRIVES_S, "nothing arrived")
        # ClickHouse has gone. What is said now has to wait in three places.
        run_loops(bench, scale)
        scale.edge.kill()
        first.kill()
        scale.edge.start()
        run_loops(bench, scale)
        second.kill()
        first.start()
        second.start()
        with away:
            assert arrived(away) < len(bench.rows())
            assert_account(bench, away)


@pytest.mark.timeout(300)
def test_an_insert_whose_answer_is_lost_is_sent_again_and_counted_once(
    bench: Bench, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    with (
        LostAnswers(clickhouse.port, b"INSERT", 2) as between,
        Scale(tmp_path, clickhouse, clickhouse_port=between.port) as scale,
    ):
        run_loops(bench, scale)
        assert_account(bench, clickhouse)
        wait_until(lambda: between.lost == 2, ARRIVES_S)
        copies = "SELECT count() - uniqExact(TraceId, SpanId) AS copies FROM otel_traces"
        wait_until(lambda: int(clickhouse.value(copies)) > 0, ARRIVES_S, "no copy was made")
        assert stored(clickhouse) == in_ledger(bench.rows())


@pytest.mark.timeout(300)
def test_an_edge_without_the_right_certificate_is_refused_and_keeps_what_it_has(
    bench: Bench, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    ours, another = Authority(tmp_path, "ours"), Authority(tmp_path, "another")
    server, server_key = ours.issue(GATEWAYS)
    client, client_key = another.issue("edge.test")
    gateway_env = {
        "GATEWAY_TLS": "true",
        "GATEWAY_CERT_FILE": str(server),
        "GATEWAY_KEY_FILE": str(server_key),
        "EDGE_CA_FILE": str(ours.file),
    }
    edge_env = {
        "GATEWAY_INSECURE": "false",
        "GATEWAY_CA_FILE": str(ours.file),
        "EDGE_CERT_FILE": str(client),
        "EDGE_KEY_FILE": str(client_key),
        "TEAM_ID": "billing",
        "HOST_NAME": "a-host",
    }
    with Scale(
        tmp_path,
        clickhouse,
        edge_files=["edge-resource.yaml"],
        edge_env=edge_env,
        gateway_env=gateway_env,
    ) as scale:
        run_loops(bench, scale)
        wait_until(lambda: "Will retry" in scale.edge.said(), ARRIVES_S, "it was not refused")
        assert not arrived(clickhouse)

        right, right_key = ours.issue("edge.test")
        scale.edge.stop()
        right.replace(client)
        right_key.replace(client_key)
        scale.edge.start()
        assert_account(bench, clickhouse)
    # The agents say they are of another team, and no host: the edge has the last word.
    assert clickhouse.value("SELECT DISTINCT team FROM calls") == "billing"
    assert clickhouse.value(HOSTS) == "a-host"
