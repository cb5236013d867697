"""The load generator, as it is built and run."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import measure
from benchmarks.peers.direct import Direct
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.traffic_run import SOURCE, Load, TrafficError, Upstream, build
from tests.real import needs


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs.language("go")
    return build(tmp_path_factory.mktemp("traffic"))


@pytest.fixture
def upstream(program: Path, tmp_path: Path) -> Iterator[Upstream]:
    with Upstream(program, tmp_path) as running:
        yield running


def test_its_own_tests_pass() -> None:
    go = needs.language("go")
    for arguments in (["vet", "."], ["test", "."]):
        done = subprocess.run(
            [go, *arguments], cwd=SOURCE, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    formatted = subprocess.run(
        [go.resolve().with_name("gofmt"), "-l", "."],
        cwd=SOURCE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert formatted.stdout == ""


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_goes_whole_the_direct_way(name: str, upstream: Upstream) -> None:
    direct = Direct()
    direct.start(upstream, upstream.work)
    scenario = SCENARIOS[name]
    sample = measure(direct, scenario, 2, upstream, number=0, seconds=0.3, warmup_s=0)
    assert sample is not None
    assert sample.calls >= 2
    assert sample.rate > 0
    assert sample.ttfb_p50_ms is not None
    assert (sample.delay_p50_ms is not None) is bool(scenario.pace)
    assert upstream.stats().calls == sample.calls


def test_what_was_not_sent_is_an_error(upstream: Upstream) -> None:
    """A proxy in between that adds an event, here an upstream that is asked for one more."""
    way = [f"-addr=127.0.0.1:{upstream.ports.http}", "-calls=1", "-path=/v1/traces"]
    with pytest.raises(TrafficError, match="1 calls failed: an answer of 0 pieces and 0 bytes"):
        upstream.load([*way, "-chunks=10"])


def test_telemetry_is_counted(upstream: Upstream) -> None:
    client = http.client.HTTPConnection("127.0.0.1", upstream.ports.http, timeout=10)
    client.request("POST", "/v1/metrics", b"12345")
    assert client.getresponse().status == 200
    client.close()
    assert upstream.stats().exports == 1
    assert upstream.stats().export_bytes == 5


def test_a_missing_go_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    with pytest.raises(TrafficError, match="install Go"):
        build(tmp_path)


@pytest.mark.usefixtures("program")
def test_the_command_measures_and_shows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TOKENPROXY_CACHE", str(tmp_path))
    place, picture = tmp_path / "results.json", tmp_path / "picture.svg"
    arguments = ["--quick", "--only=json,tls", "--peers=direct,tokenproxy", "--rounds=1"]
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments, "--seconds=0.2", f"--json={place}"])
    assert command.main() == 0
    measured = json.loads(place.read_bytes())
    assert [(sample["scenario"], sample["peer"]) for sample in measured["samples"]] == [
        ("json", "direct"), ("json", "tokenproxy"), ("tls", "direct"), ("tls", "tokenproxy"),
    ]  # fmt: skip
    shown = capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["benchmarks", f"--from={place}", f"--plot={picture}"])
    assert command.main() == 0
    assert capsys.readouterr().out == shown
    assert picture.read_text().startswith("<svg")


def test_a_missing_file_of_results_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", f"--from={tmp_path / 'none.json'}"])
    assert command.main() == 2
    assert "none.json holds no results: " in capsys.readouterr().err


@pytest.mark.parametrize("given", ["--rounds=0", "--seconds=-1", "--streams=many"])
def test_a_number_that_is_none_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", given])
    with pytest.raises(SystemExit) as refused:
        command.main()
    assert refused.value.code == 2
    assert "is no number above 0" in capsys.readouterr().err


def test_a_scenario_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--only=sse,astonishment"])
    with pytest.raises(SystemExit) as refused:
        command.main()
    assert refused.value.code == 2
    assert "'astonishment' is none of json, sse" in capsys.readouterr().err


@pytest.mark.usefixtures("program")
def test_a_peer_that_fails_has_no_figure_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def settle(_peer: Direct, scenario: Scenario, load: Load) -> None:
        if scenario.name == "sse":
            raise TrafficError(f"{load.all_calls} calls left 0 rows in the ledger")

    monkeypatch.setenv("TOKENPROXY_CACHE", str(tmp_path))
    monkeypatch.setattr(Direct, "settle", settle)
    arguments = ["--quick", "--only=sse,json", "--peers=direct", "--rounds=1", "--seconds=0.1"]
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments, f"--json={tmp_path / 'r.json'}"])
    assert command.main() == 1
    shown = capsys.readouterr().out
    assert "**Failed:** sse through direct, 16 streams: " in shown
    assert "| JSON call, 2 kB | 16 " in shown
