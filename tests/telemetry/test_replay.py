"""A spool is sent: in order, once, by one at a time, and what is not taken stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.telemetry.otlp.collector import DROP, OK, Collector, answer
from tests.telemetry.test_spool import request
from tokenproxy.telemetry import replay as module
from tokenproxy.telemetry.replay import CannotReplayError, replay
from tokenproxy.telemetry.spool import Spool, entries

FAST = {"OTEL_EXPORTER_OTLP_TIMEOUT": "300"}


def filled(directory: Path, count: int = 3) -> Spool:
    spool = Spool(directory)
    for number in range(count):
        assert spool.keep("traces", request(str(number)))
    return spool


def url(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.port}"


def test_all_is_sent_in_order_and_gone(tmp_path: Path) -> None:
    filled(tmp_path)
    with Collector() as collector:
        outcome = replay(tmp_path, {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=v"}, url(collector))
    assert (outcome.sent, outcome.kept, outcome.again, outcome.why) == (3, 0, 0, None)
    assert [one.body for one in collector.taken] == [request(str(n)) for n in range(3)]
    assert {one.line for one in collector.taken} == {"POST /v1/traces HTTP/1.1"}
    assert {one.headers["x-key"] for one in collector.taken} == {"v"}
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_for_itself_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    filled(tmp_path)
    with Collector([OK, answer("400 Bad Request"), OK]) as collector:
        outcome = replay(tmp_path, {}, url(collector))
    assert (outcome.sent, outcome.kept) == (2, 1)
    assert "answered 400 Bad Request" in str(outcome.why)
    assert [entry.doubtful for entry in entries(tmp_path)] == [False]


@pytest.mark.parametrize(
    "said", [DROP, answer("401 Unauthorized"), answer("503 Busy", "retry-after: 9")]
)
def test_after_no_the_next_is_not_tried(tmp_path: Path, said: bytes) -> None:
    filled(tmp_path, 4)
    with Collector([OK, said]) as collector:
        outcome = replay(tmp_path, FAST, url(collector))
    assert (outcome.sent, outcome.kept) == (1, 3)
    assert {one.body for one in collector.taken} == {request("0"), request("1")}
    assert [entry.doubtful for entry in entries(tmp_path)] == [False] * 3
    with Collector() as collector:
        assert replay(tmp_path, {}, url(collector)).sent == 3


def test_other_signals_go_on(tmp_path: Path) -> None:
    spool = filled(tmp_path, 2)
    assert spool.keep("metrics", b"")
    with Collector([DROP]) as refuses, Collector() as takes:
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url(refuses),
            "OTEL_EXPORTER_OTLP_ENDPOINT": url(takes),
            **FAST,
        }
        outcome = replay(tmp_path, env)
    assert (outcome.sent, outcome.kept) == (1, 2)


def test_a_file_that_is_no_request_stays(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    first = entries(tmp_path)[0].path
    first.write_bytes(b"{")
    with Collector() as collector:
        outcome = replay(tmp_path, {}, url(collector))
    assert (outcome.sent, outcome.kept) == (1, 1)
    assert outcome.why == f"{first} cannot be read as a request"


def test_two_do_not_meet(tmp_path: Path) -> None:
    filled(tmp_path)
    with (
        Collector() as collector,
        module._locked(tmp_path),
        pytest.raises(CannotReplayError, match="another replay"),
    ):
        replay(tmp_path, {}, url(collector))
    assert collector.taken == []


REPLAYS = """
import os, pathlib, sys
from tokenproxy.telemetry.replay import replay
replay(pathlib.Path(sys.argv[1]), os.environ, sys.argv[2])
"""


def test_killed_in_the_middle_nothing_is_lost_and_at_most_one_comes_twice(tmp_path: Path) -> None:
    sent = [request(str(number)) for number in range(60)]
    filled(tmp_path, 60)
    with Collector() as collector:
        doubtful = 0
        for stop in (3, 11, 12, 30):
            at_work = subprocess.Popen([sys.executable, "-c", REPLAYS, tmp_path, url(collector)])
            while len(collector.taken) < stop and at_work.poll() is None:
                pass
            os.kill(at_work.pid, signal.SIGKILL)
            at_work.wait()
            doubtful += sum(entry.doubtful for entry in entries(tmp_path))
        outcome = replay(tmp_path, {}, url(collector))
    assert outcome.kept == 0
    assert entries(tmp_path) == []
    # A request that was cut by the kill is none; a collector would not have taken it.
    bodies = [one.body for one in collector.taken if one.body in sent]
    assert list(dict.fromkeys(bodies)) == sent
    assert len(bodies) - len(sent) <= doubtful <= 4


def test_what_may_have_arrived_is_said(tmp_path: Path) -> None:
    filled(tmp_path)
    entries(tmp_path)[1].claimed()
    with Collector() as collector:
        assert replay(tmp_path, {}, url(collector)).again == 1
    assert [one.body for one in collector.taken] == [request(str(n)) for n in range(3)]


@pytest.mark.parametrize(
    ("env", "endpoint", "said"),
    [
        ({}, None, "no collector is named for traces: give --endpoint URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
         None, "name the collector's HTTP port with --endpoint"),
        ({}, "ftp://c", "--endpoint is no http:// or https:// URL ('ftp://c')"),
        ({}, "c:4318", "URL ('c:4318'), so nothing is sent there; write http://c:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c"}, None, "OTEL_EXPORTER_OTLP_ENDPOINT is no http://"),
        ({"http_proxy": "http://proxy:1"}, "http://c:4318", "name the host in NO_PROXY"),
        ({}, "http://127.0.0.1:1", "No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(
    tmp_path: Path, env: dict[str, str], endpoint: str | None, said: str
) -> None:
    with pytest.raises(CannotReplayError) as raised:
        replay(tmp_path / "nothing", env, endpoint)
    assert said in str(raised.value)


def test_an_endpoint_that_is_given_is_spoken_to_over_http(tmp_path: Path) -> None:
    filled(tmp_path)
    env = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_SDK_DISABLED": "true",
    }
    with Collector() as collector:
        assert replay(tmp_path, env, url(collector)).sent == 3
