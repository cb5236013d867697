from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import msgspec
import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import row, write
from tests.record.make import RUN, call
from tokenproxy import __version__
from tokenproxy.cli import app, main
from tokenproxy.paths import LEDGER_NAME
from tokenproxy.record.journal import Ended, Header
from tokenproxy.record.ledger import Mark

HEAVY = (
    "duckdb",
    "rich",
    "mitmproxy",
    "opentelemetry",
    "genai_prices",
    "pydantic",
    "tokenproxy.record",
)


def python(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(main.__file__).parents[2])} | env,
    )


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"tokenproxy {__version__}\n", "")


def test_help_names_every_command(cli: Cli) -> None:
    for option in ("--help", "-h"):
        ended = cli(option)
        assert (ended.status, ended.err) == (0, "")
        assert all(f"\n  {name} " in ended.out for name in app.COMMANDS)


def test_nothing_asked_is_a_usage_error_with_the_help(cli: Cli) -> None:
    ended = cli()
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Usage: tokenproxy ")


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_every_command_has_help_and_says_what_is_no_option(cli: Cli, name: str) -> None:
    assert cli(name, "--help").status == 0
    ended = cli(name, "--no-such-option")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "--no-such-option" in ended.err
    assert f"tokenproxy {name} --help" in ended.err


@pytest.mark.parametrize("words", [(), ("ledger",), ("otel",)])
def test_the_list_of_commands_says_each_in_whole(cli: Cli, words: tuple[str, ...]) -> None:
    ended = cli(*words, "--help")
    listed = ended.out.partition("Commands:\n")[2].splitlines()
    assert listed
    assert [line for line in listed if line.endswith("...")] == []


def test_a_misspelt_command(cli: Cli) -> None:
    ended = cli("repotr")
    assert ended.status == 2
    assert "Did you mean 'report'?" in ended.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tokenproxy.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    ended = python("-c", code)
    assert ended.stderr == "[]\n"


def test_only_the_chosen_command_is_imported() -> None:
    code = (
        "import sys\nfrom tokenproxy.cli.main import main\n"
        "try: main(['run', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('tokenproxy.cli.')], file=sys.stderr)"
    )
    found = python("-c", code).stderr
    assert "tokenproxy.cli.run" in found
    assert "tokenproxy.cli.report" not in found


def test_windows_is_told_in_a_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    ended = cli("report")
    assert ended.status == 2
    assert "does not support Windows yet" in ended.err


@pytest.mark.parametrize(("command", "status"), [("report", 1), ("run", 125)])
def test_a_fault_of_ours_is_a_sentence_and_a_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, status: int
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by nothing\nat all")

    monkeypatch.setattr(app, "make_app", broken)
    log = tmp_path / "state" / main.LAST_ERROR
    ended = cli(command)
    assert ended == (
        status,
        "",
        (
            "tokenproxy: unexpected ZeroDivisionError: by nothing at all; "
            f"the details are in {log}, please report them\n"
        ),
    )
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("TOKENPROXY_DEBUG", "1")
    assert "Traceback" in cli(command).err


def test_a_fault_without_a_place_for_details(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "make_app", lambda _: 1 / 0)
    monkeypatch.setenv("TOKENPROXY_STATE_DIR", "/dev/null/nowhere")
    assert "TOKENPROXY_DEBUG=1" in cli("report").err


def test_ctrl_c(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "make_app", interrupted)
    assert cli("report") == (130, "", "")


@pytest.mark.parametrize(
    "error", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")]
)
def test_ctrl_c_while_duckdb_works(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It takes the signal, and raises what is none of Python's own."""

    def interrupted(_: object) -> None:
        raise error

    monkeypatch.setattr(app, "make_app", interrupted)
    assert cli("report") == (130, "", "")


@pytest.mark.parametrize("rows", [1, 3000])
def test_a_reader_who_leaves_early_is_no_fault(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path / "l.jsonl", [row(str(n)) for n in range(rows)])
    command = f"{sys.executable} -m tokenproxy ledger export --ledger {path} | true"
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        timeout=30,
        check=False,
        cwd=Path(main.__file__).parents[2],
    )
    assert ended.stderr == b""


def test_python_m() -> None:
    ended = python("-m", "tokenproxy", "--version")
    assert ended.stdout == f"tokenproxy {__version__}\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [("ledger", "schema"), ("statusline",), ("top", "--once")])
def test_streams_that_were_closed_before_us_are_no_fault(
    words: tuple[str, ...], closed: str, tmp_path: Path
) -> None:
    script = f'exec "$@" {closed}'
    (tmp_path / LEDGER_NAME).touch()
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "tokenproxy", *words],
        env={**os.environ, "TOKENPROXY_STATE_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) is (closed in ("<&-", "2>&-"))


def test_a_command_finds_closed_what_was_closed(tmp_path: Path) -> None:
    ask = "import os\nfor n in (0, 2):\n try: os.fstat(n)\n except OSError: print(n, 'is closed')"
    run = [sys.executable, "-m", "tokenproxy", "run", "--", sys.executable, "-c", ask]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", *run],
        env={**os.environ, "TOKENPROXY_STATE_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"0 is closed\n2 is closed\n")


def test_no_log_is_printed(tmp_path: Path) -> None:
    """A journal that cannot be settled is said in a sentence; the traceback is for who debugs."""
    place = tmp_path / "runs" / "dead" / "journal-0.jsonl"
    place.parent.mkdir(parents=True)
    header = Header(run=RUN, ledger="/no\0path", mark=Mark())
    ended = Ended(call=call())
    place.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (header, ended)))
    words = ("-m", "tokenproxy", "ledger", "recover")
    told = python(*words, TOKENPROXY_STATE_DIR=str(tmp_path))
    assert told.returncode == 1
    assert told.stderr.startswith("tokenproxy: The journal ")
    assert told.stderr.count("\n") == 1
    told = python(*words, TOKENPROXY_STATE_DIR=str(tmp_path), TOKENPROXY_DEBUG="1")
    assert "Traceback" in told.stderr
