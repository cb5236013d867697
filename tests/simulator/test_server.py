from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.wire import ask
from tokenproxy.simulator import calls
from tokenproxy.simulator.messages import Tokens
from tokenproxy.simulator.reply import Reply, Request
from tokenproxy.simulator.scenarios import calls_only, in_order, named
from tokenproxy.simulator.server import Simulator


def test_truth_of_many_calls_adds_up() -> None:
    with Simulator("agent") as sim:
        for _ in range(3):
            ask(sim)
            ask(sim, model="claude-haiku-4-5", stream=False)
        assert sim.billed() == sim.known()
        assert sim.billed() == {
            model: Tokens(
                model=model,
                input=36,
                cache_read=45_000,
                cache_write_5m=6_000,
                cache_write_1h=144,
                output=126,
            )
            for model in ("claude-opus-5-5", "claude-haiku-4-5")
        }


def test_a_cut_call_is_billed_more_than_can_be_known() -> None:
    with Simulator(in_order(named("cut-after-delta"), named("error-mid-stream"))) as sim:
        with pytest.raises(Exception, match="IncompleteRead"):
            ask(sim)
        ask(sim)
        sim.settle()
        late, failed = sim.calls
        assert (late.ended, failed.ended) == ("cut", "complete")
        assert late.known is not None
        assert late.known.final
        assert late.known.parts == late.billed
        assert failed.known is not None
        assert not failed.known.final
        assert failed.known.parts == failed.billed
        assert sim.known()["claude-opus-5-5"].output == 547 + 7


def test_unbilled_parts_are_in_no_sum() -> None:
    with Simulator("fallback") as sim:
        ask(sim)
        assert [part.role for part in sim.calls[0].billed] == ["fallback_served"]
        assert set(sim.billed()) == set(sim.known()) == {calls.FALLBACK_MODEL}


def test_a_failing_scenario_fails_the_test_that_uses_it() -> None:
    def broken(_request: Request) -> Reply:
        raise KeyError("nothing here")

    with (
        pytest.raises(KeyError, match="nothing here"),
        Simulator(calls_only(broken)) as sim,
    ):
        assert ask(sim)[0].status == 500
    with (
        pytest.raises(ValueError, match="sideways"),
        Simulator(lambda _: Reply(chunks="sideways")) as sim,
        pytest.raises(ConnectionError),
    ):
        ask(sim)


def test_unknown_scenario_and_taken_port() -> None:
    with pytest.raises(ValueError, match=r"there are: .*plain"):
        Simulator("no-such")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Simulator(port=taken.getsockname()[1]).__enter__()


def test_wait_for_gives_up() -> None:
    with Simulator() as sim, pytest.raises(TimeoutError):
        sim.wait_for(lambda s: len(s.calls) == 1, 0.02)


def test_record_writes_every_exchange(tmp_path: Path) -> None:
    with Simulator("stream", record=tmp_path) as sim:
        ask(sim)
        sim.wait_for(lambda _: (tmp_path / "0001.json").exists())
        assert (tmp_path / "0001.request").read_bytes() == sim.requests[0].body
    assert (tmp_path / "0001.response").read_bytes() == bytes(sim.calls[0].sent)
    account = json.loads((tmp_path / "0001.json").read_bytes())
    assert account["billed"][0]["output"] == 547
    assert account["known"]["final"] is True
    assert account["path"] == "/v1/messages?beta=true"


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tokenproxy.simulator"]
    server = subprocess.Popen(
        [*command, "--scenario", "plain+gzip", "--tls", tmp_path / "tls"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    assert url.startswith("https://127.0.0.1:")
    assert (tmp_path / "tls" / "ca.pem").exists()
    port = url.rpartition(":")[2]
    server.terminate()
    assert server.wait(5) == 0
    server.stdout.close()
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True)
    assert {"plain", "agent", "demo", "cut-fin"} <= set(listed.stdout.split())
    unknown = subprocess.run(
        [*command, "--scenario", "zz"], capture_output=True, text=True, check=False
    )
    assert (unknown.returncode, "unknown scenario 'zz'" in unknown.stderr) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = subprocess.run(
            [*command, "--port", str(taken.getsockname()[1])],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (busy.returncode, busy.stderr.startswith("cannot listen on port")) == (1, True)
    assert port.isdigit()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "80800"], "--port 80800 is no port: they go from 0 to 65535"),
        (["--port", "-1"], "--port -1 is no port: they go from 0 to 65535"),
        (["--port", "x"], "argument --port: invalid int value: 'x'"),
        (["--tls", "{file}"], "--tls {file} cannot be used: it is not a directory"),
        (["--tls", "{file}/in"], "--tls {file}/in cannot be used: Not a directory"),
        (["--tls", "{taken}"], "--tls {taken} cannot be used: Is a directory"),
        (["--record", "{file}"], "--record {file} cannot be used: it is not a directory"),
        (["--record", "/dev/null/no"], "--record /dev/null/no cannot be used: Not a directory"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    file, taken = tmp_path / "file", tmp_path / "taken"
    file.touch()
    (taken / "ca.pem").mkdir(parents=True)
    words = [word.format(file=file, taken=taken) for word in words]
    ended = subprocess.run(
        [sys.executable, "-m", "tokenproxy.simulator", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    said = sentence.format(file=file, taken=taken)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"python -m tokenproxy.simulator: {said}\n"


def test_a_port_that_cannot_be_does_not_hang() -> None:
    with pytest.raises(OverflowError), Simulator(port=80_800):
        pass
