"""``report --source`` where there is no ClickHouse: what is said. With one: tests/real/stack."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import row, write


class Door(BaseHTTPRequestHandler):
    """Answers everything with one status and one body, as ClickHouse says an error."""

    status: ClassVar[int] = 200
    code: ClassVar[int | None] = None
    body: ClassVar[bytes] = b"hello\n"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        if self.code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(self.code))
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that is no ClickHouse."""
    monkeypatch.setattr(Door, "code", None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def refusal(cli: Cli, *words: str) -> str:
    """What is said on standard error by a report that cannot be made."""
    ended = cli("report", *words)
    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err
    return ended.err


def test_a_source_that_is_no_url(cli: Cli) -> None:
    said = refusal(cli, "--source", "http://u:secret@db/x")
    assert "must be a URL of the form clickhouse://user:password@host:8123/database" in said


def test_an_empty_source_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "must be a URL" in refusal(cli, "--source", "")
    monkeypatch.setenv("TOKENPROXY_REPORT_SOURCE", "")
    assert cli("report").status == 0


def test_a_source_and_a_ledger_exclude_each_other(cli: Cli, ledger: Path) -> None:
    said = refusal(cli, "--source", "clickhouse://db", "--ledger", str(ledger))
    assert "--source and --ledger exclude each other" in said


def test_nobody_listens(cli: Cli, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(cli, "--source", "clickhouse://u:secret@127.0.0.1:1/x")
    assert "no ClickHouse can be reached at 127.0.0.1:1" in said
    assert "8123" in said
    assert port
    monkeypatch.setenv("TOKENPROXY_REPORT_SOURCE", "clickhouse://u:secret@127.0.0.1:1/x")
    assert "can be reached at 127.0.0.1:1" in refusal(cli)


def test_another_server_listens(cli: Cli, port: int) -> None:
    said = refusal(cli, "--source", f"clickhouse://u:secret@127.0.0.1:{port}/x")
    assert f"127.0.0.1:{port}" in said
    assert "ClickHouse" in said


@pytest.mark.parametrize(
    "refused",
    [
        (403, 516, "refuses the user 'u' or the password"),
        (404, 81, "has no database 'x'"),
        (404, 60, "has no table x.calls, or no view x.calls_by_model: make them with docker/scale"),
        (404, 47, "the table x.calls is not as docker/scale/clickhouse/*.sql makes it"),
        (403, 497, "the user 'u' may not read x.calls"),
        (500, 241, "cannot answer (its error 241): Memory limit exceeded"),
    ],
)
def test_clickhouse_refuses(
    cli: Cli, port: int, monkeypatch: pytest.MonkeyPatch, refused: tuple[int, int, str]
) -> None:
    status, code, sentence = refused
    monkeypatch.setattr(Door, "status", status)
    monkeypatch.setattr(Door, "code", code)
    monkeypatch.setattr(
        Door, "body", f"Code: {code}. DB::Exception: Memory limit exceeded".encode()
    )
    monkeypatch.setenv("TOKENPROXY_CLICKHOUSE_PASSWORD", "secret")
    said = refusal(cli, "--source", f"clickhouse://u@127.0.0.1:{port}/x")
    assert sentence in said
    assert f"127.0.0.1:{port}" in said or code == 47


def test_the_client_is_not_installed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("clickhouse_connect"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refusal(cli, "--source", "clickhouse://u:secret@db/x")
    assert "pip install 'tokenproxy[clickhouse]'" in said


def test_a_ledger_that_is_named_goes_before_the_variable(
    cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENPROXY_REPORT_SOURCE", "clickhouse://127.0.0.1:1/x")
    ended = cli("report", "--ledger", str(write(ledger, [row("a")])))
    assert (ended.status, ended.err) == (0, "")


def test_the_variable_goes_before_the_ledger_that_runs_write(
    cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENPROXY_LEDGER", str(write(ledger, [row("a")])))
    monkeypatch.setenv("TOKENPROXY_REPORT_SOURCE", "clickhouse://127.0.0.1:1/x")
    assert "can be reached at 127.0.0.1:1" in refusal(cli)
