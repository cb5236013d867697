from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import RUN, Row, legacy, row, write
from tests.telemetry.receiver import OtlpReceiver


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a collector of their own."""
    import os

    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        yield receiver


def call(number: int, **changes: Any) -> Row:
    return row(
        f"call-{number}",
        trace_id="a" * 32,
        span_id=f"{number + 1:016x}",
        timestamp=f"2026-11-22T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        **changes,
    )


def test_to_a_collector(cli: Cli, ledger: Path, receiver: OtlpReceiver) -> None:
    write(ledger, [call(0), call(1), legacy(), b"broken\n", call(1)])
    ended = cli("ledger", "ship", "--ledger", str(ledger))
    assert (ended.status, ended.out) == (0, f"2 rows shipped to {receiver.endpoint}\n")
    assert ended.err.splitlines() == [
        f"tokenproxy: {ledger}: line 4 is not a ledger row and was skipped",
        "tokenproxy: 1 row left out: they have no call, trace and span id",
    ]
    spans = {span.span_id: span for span in receiver.spans}
    assert len(spans) == len(receiver.spans) == 3
    assert spans["0" * 15 + "1"].attributes["tokenproxy.call.id"] == "call-0"
    assert not receiver.metrics


def test_as_json(cli: Cli, ledger: Path, receiver: OtlpReceiver) -> None:
    write(ledger, [call(0), legacy()])
    ended = cli("ledger", "ship", "--json", "--ledger", str(ledger), "--signals", "both")
    found = json.loads(ended.out)
    assert found.pop("points") == len(receiver.metrics) > 0
    assert found == {
        "schema": "tokenproxy.ship/1",
        "to": "otlp",
        "destination": receiver.endpoint,
        "dry_run": False,
        "rows": 2,
        "left_out": 1,
        "shipped": 1,
        "spans": 2,
    }


def test_what_would_be_sent(cli: Cli, ledger: Path, receiver: OtlpReceiver) -> None:
    write(ledger, [call(number) for number in range(5)])
    ended = cli(
        "ledger", "ship", "--ledger", str(ledger), "--dry-run", "--since", "2026-11-22T00:00:02Z"
    )
    assert (ended.status, ended.out) == (0, f"3 rows would go to {receiver.endpoint}\n")
    assert not receiver.requests


def test_a_choice_of_rows(cli: Cli, ledger: Path, receiver: OtlpReceiver) -> None:
    write(ledger, [call(0), call(1, story_id="other"), call(2, run_id=RUN[:-1] + "2")])
    for words, expected in (
        (["--story", "other"], {"call-1"}),
        (["--run", RUN], {"call-0", "call-1"}),
        (["--run", RUN[:-1] + "2", "--until", "2026-11-22"], {"call-2"}),
    ):
        receiver.spans.clear()
        assert cli("ledger", "ship", "--ledger", str(ledger), *words).status == 0
        ids = {span.attributes.get("tokenproxy.call.id") for span in receiver.spans}
        assert ids - {None} == expected


def test_each_option_by_its_variable(
    cli: Cli, ledger: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [call(0), call(1, story_id="other")])
    monkeypatch.setenv("TOKENPROXY_LEDGER", str(ledger))
    monkeypatch.setenv("TOKENPROXY_LEDGER_SHIP_STORY", "other")
    monkeypatch.setenv("TOKENPROXY_LEDGER_SHIP_DRY_RUN", "1")
    assert cli("ledger", "ship").out == f"1 row would go to {receiver.endpoint}\n"


def test_a_collector_that_fails_in_the_middle(
    cli: Cli, ledger: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [call(number) for number in range(2000)])
    answered = receiver._note

    def fails_at_the_third(*words: Any) -> None:
        answered(*words)
        receiver.status = 200 if len(receiver.requests) < 3 else 400

    monkeypatch.setattr(receiver, "_note", fails_at_the_third)
    ended = cli("ledger", "ship", "--ledger", str(ledger))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == (
        f"tokenproxy: the collector at {receiver.endpoint} answered 400 Bad Request; 1024 of 2000 "
        "rows arrived, continue with --since 2026-11-22T00:17:04.000Z\n"
    )
    monkeypatch.undo()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    receiver.status = 200
    again = cli("ledger", "ship", "--ledger", str(ledger), "--since", "2026-11-22T00:17:04.000Z")
    assert again.out == f"976 rows shipped to {receiver.endpoint}\n"
    ids = [span.span_id for span in receiver.spans]
    assert len(ids) == len(set(ids)) == 2001


def test_nobody_there(cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ledger, [call(0)])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    ended = cli("ledger", "ship", "--json", "--ledger", str(ledger))
    assert ended.status == 1
    found = json.loads(ended.out)
    assert (found["shipped"], found["resume_since"]) == (0, "2026-11-22T00:00:00.000Z")
    assert (
        found["problem"]
        == "the collector at http://127.0.0.1:1 did not answer (Connection refused)"
    )


def test_what_a_collector_takes_only_a_part_of(
    cli: Cli, ledger: Path, receiver: OtlpReceiver
) -> None:
    """It must not be sent again, and is said."""
    write(ledger, [call(0), call(1)])
    receiver.rejects = 2, "too old"
    words = ("ledger", "ship", "--ledger", str(ledger), "--signals", "both")
    ended = cli(*words)
    assert (ended.status, ended.out) == (1, f"2 rows shipped to {receiver.endpoint}\n")
    assert ended.err == (
        f"tokenproxy: {receiver.endpoint} did not take 2 of the spans and 2 of the metrics"
        " that arrived: too old\n"
    )
    found = json.loads(cli(*words, "--json").out)
    assert (found["rejected"], found["complaint"]) == ({"spans": 2, "metrics": 2}, "too old")
    assert (found["shipped"], "problem" in found) == (2, False)


def test_interrupted(
    cli: Cli, ledger: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [call(0)])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tokenproxy.telemetry.otlp.outlet.OtlpOutlet.send_spans", interrupt)
    ended = cli("ledger", "ship", "--ledger", str(ledger))
    assert ended.status == 130
    assert "interrupted; 0 of 1 row arrived, continue with --since" in ended.err
    assert not receiver.spans


def test_as_parquet(cli: Cli, ledger: Path, tmp_path: Path) -> None:
    write(ledger, [call(0), legacy()])
    words = ("ledger", "ship", "--to", "parquet", "--ledger", str(ledger), "--output")
    assert cli(*words, "l.parquet") == (0, "2 rows shipped to l.parquet\n", "")
    assert len(duckdb.read_parquet(str(tmp_path / "l.parquet"))) == 2
    assert cli(*words, "days/", "--dry-run").out == "2 rows would go to days/\n"
    assert not (tmp_path / "days").exists()
    assert cli(*words, "days/").status == 0
    assert (tmp_path / "days" / "day=2026-11-22" / "data_0.parquet").exists()
    ended = cli(*words, "l.parquet")
    assert ended.status == 2
    assert ended.err == "tokenproxy: l.parquet exists already: --force replaces it\n"
    assert cli(*words, "l.parquet", "--force").status == 0


def test_nothing_to_ship(cli: Cli, ledger: Path, receiver: OtlpReceiver, tmp_path: Path) -> None:
    write(ledger, [call(0)])
    for words in ([], ["--to", "parquet", "--output", "out"]):
        ended = cli("ledger", "ship", "--ledger", str(ledger), "--story", "none", *words)
        assert ended == (0, "", "tokenproxy: no calls match\n")
    assert not receiver.requests
    assert not (tmp_path / "out").exists()
    assert "no calls recorded yet" in cli("ledger", "ship").err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "set OTEL_EXPORTER_OTLP_ENDPOINT (such as http://127.0.0.1:4318)"),
        (["--output", "x"], "--output and --force are of Parquet files: add --to parquet"),
        (["--to", "parquet"], "name the Parquet file: --output FILE, or --output DIRECTORY/"),
        (["--to", "parquet", "--output", "none/x"], "there is no directory"),
        (["--since", "whenever"], "'whenever' is not a time"),
        (["--since", "today", "--until", "yesterday"], "is not after"),
        (["--run", " "], "the run's id is empty"),
        (["--to", "csv"], "'csv' is not one of 'otlp', 'parquet'"),
        (["--signals", "metrics", "--ledger", "other"], "of one ledger at a time"),
        (["--to", "parquet", "--output", "x", "--ledger", "none"], "There is no ledger at none"),
    ],
)
def test_what_cannot_be_done(cli: Cli, ledger: Path, words: list[str], sentence: str) -> None:
    write(ledger, [call(0)])
    ended = cli("ledger", "ship", "--ledger", str(ledger), *words)
    assert (ended.status, ended.out) == (2, "")
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
