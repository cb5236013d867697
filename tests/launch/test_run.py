"""Whole runs on a stub proxy: statuses, streams, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.launch.harness import SUBJECT, WAIT_S, Launch, alive, until

Make = Callable[..., Launch]


@pytest.mark.parametrize("status", [0, 7, 255])
def test_the_status_is_the_commands(launch: Make, status: int) -> None:
    assert launch().run(["sh", "-c", f"exit {status}"]).returncode == status


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT", "SIGPIPE"])
def test_a_signal_n_is_128_plus_n(launch: Make, name: str) -> None:
    number = getattr(signal, name)
    assert launch().run(["sh", "-c", f"kill -{number} $$"]).returncode == 128 + number


def test_streams_pass_untouched(launch: Make) -> None:
    data = os.urandom(3_000_000)
    done = launch(summary=False).run([*SUBJECT, "copy"], input=data, stdin=subprocess.PIPE)
    assert done.stdout == data
    assert done.stderr == b""


def test_stdin_of_a_pipe_with_no_end_is_not_waited_for(launch: Make) -> None:
    read, write = os.pipe()
    try:
        assert launch().run(["true"], stdin=read).returncode == 0
    finally:
        os.close(read)
        os.close(write)


def test_the_summary_is_one_line_on_stderr(launch: Make) -> None:
    done = launch("warn=the disk is full").run([*SUBJECT, "talk", "a", "b"])
    assert done.stdout == b"generation 0\ngeneration 0\n"
    line, warning = done.stderr.decode().splitlines()
    assert line.startswith("tokenproxy: 2 calls · 85.2k in · 0 out · $0.00 · ")
    assert " · iteration " in line
    assert warning == "tokenproxy: the disk is full"


def test_no_summary_still_warns(launch: Make) -> None:
    done = launch("warn=the disk is full", summary=False).run(["true"])
    assert done.stderr == b"tokenproxy: the disk is full\n"


def test_a_closed_stderr_is_no_fault(launch: Make) -> None:
    made = launch()
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&- >&-', "sh", *made.argv, "sh", "-c", "exit 3"],
        env=made.environment(),
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 3
    assert made.noted("finish")[0]["exit_status"] == 3


def test_a_stderr_that_nobody_reads_delays_the_end_only_briefly(launch: Make) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while os.write(write, b"x" * 65536):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(write, True)
    try:
        assert launch().run(["true"], stderr=write).returncode == 0
    finally:
        os.close(read)
        os.close(write)


def test_the_proxy_is_told_the_run_the_child_and_the_end(launch: Make, tmp_path: Path) -> None:
    made = launch(story_id='a "story"\nof two lines', complexity=3, iteration=7, labels={"k": "v"})
    done = made.run(["sh", "-c", "echo $$; exit 5"])
    (config,) = made.noted("config")
    run = config["run"]
    assert run["story_id"] == 'a "story"\nof two lines'
    assert (run["iteration"], run["complexity"], run["labels"]) == (7, 3, {"k": "v"})
    assert run["agent"] == "sh"
    assert config["ledger"] == str(tmp_path / "ledger.jsonl")
    assert made.noted("child") == [int(done.stdout)]
    (end,) = made.noted("finish")
    assert end["exit_status"] == 5
    assert end["ended_ns"] > run["started_ns"]


def test_text_that_is_not_utf8_is_kept_readable(launch: Make) -> None:
    made = launch(labels={"k": "v"})
    command = [b"sh", b"-c", b'printf %s "$1"', b"sh", b"\xff\xfe"]
    argv = [os.fsencode(word) for word in made.argv]
    done = subprocess.run(
        [*argv, *command],
        env={**made.environment(), "NO_PROXY": os.fsdecode(b"\xff.example")},
        capture_output=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.stdout == b"\xff\xfe"
    assert made.noted("config")[0]["no_proxy"] == ["\ufffd.example"]


def test_nothing_is_left_behind(launch: Make, tmp_path: Path) -> None:
    made = launch()
    made.run(["true"])
    assert made.run_dirs() == []
    assert not (tmp_path / "ledger.jsonl").exists()


def test_files_of_a_run_are_the_users_own(launch: Make) -> None:
    made = launch()
    script = 'd=$(dirname "$NODE_EXTRA_CA_CERTS"); stat -c %a "$d" "$d"/*'
    done = made.run(["sh", "-c", script])
    assert set(done.stdout.split()) == {b"700", b"600"}


def test_the_key_is_in_no_file(launch: Make) -> None:
    made = launch()
    script = 'cat "$(dirname "$NODE_EXTRA_CA_CERTS")"/*; env'
    done = made.run(["sh", "-c", script])
    assert b"BEGIN CERTIFICATE" in done.stdout
    assert b"PRIVATE KEY" not in done.stdout
    assert made.noted("config")[0]["ca_key_pem"].startswith("-----BEGIN PRIVATE KEY-----")


# A command that cannot be run


@pytest.mark.parametrize(
    ("command", "status", "sentence"),
    [
        ("no-such-command", 127, "no-such-command: command not found"),
        ("./no-such-file", 127, "./no-such-file: No such file or directory"),
        ("./plain", 126, "./plain: Permission denied"),
        ("./directory", 126, "./directory: Is a directory"),
        ("./binary", 126, "./binary: not a program for this machine (exec format error)"),
        ("./orphan", 127, "./orphan: its interpreter /no/such/interpreter does not exist"),
    ],
)
def test_a_command_that_cannot_be_run(
    launch: Make, tmp_path: Path, command: str, status: int, sentence: str
) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "directory").mkdir()
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    for name in ("binary", "orphan"):
        (tmp_path / name).chmod(0o755)
    made = launch()
    done = made.run([command], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.decode() == f"tokenproxy: {sentence}\n"
    assert made.run_dirs() == []
    assert not (tmp_path / "ledger.jsonl").exists()
    if command != "./binary":  # only the kernel knows that one
        assert made.orders() == []


def test_a_script_without_an_interpreter_is_the_shells(launch: Make, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0 $1"; exit 4\n')
    script.chmod(0o755)
    done = launch(summary=False).run([str(script), "x"])
    assert (done.returncode, done.stdout) == (4, f"{script} x\n".encode())


@pytest.mark.parametrize("ledger", ["/proc/no/such/ledger.jsonl", "file/ledger.jsonl", "."])
def test_a_ledger_that_cannot_be_written(launch: Make, tmp_path: Path, ledger: str) -> None:
    (tmp_path / "file").touch()
    made = launch(ledger=ledger)
    done = made.run(["touch", "ran"], cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"tokenproxy: cannot write the ledger ")
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "ran").exists()


# A proxy that cannot start


def test_a_proxy_that_cannot_start_stops_the_command(launch: Make, tmp_path: Path) -> None:
    made = launch("crash=ModuleNotFoundError: no module named stub")
    done = made.run(["touch", "ran"], cwd=tmp_path)
    assert done.returncode == 125
    assert b"the proxy does not start: ModuleNotFoundError: no module named stub;" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "ran").exists()
    (run_dir,) = made.run_dirs()
    assert [path.name for path in run_dir.iterdir()] == ["proxy.log"]


def test_a_proxy_that_says_why_is_quoted(launch: Make) -> None:
    made = launch("fatal=the ledger's disk is read-only")
    done = made.run(["true"])
    assert done.returncode == 125
    assert b"the proxy does not start: the ledger's disk is read-only;" in done.stderr
    assert len(made.noted("config")) == 1  # it knows; asking again is no use


def test_a_proxy_that_is_no_program(launch: Make) -> None:
    made = launch()
    made.proxy = ["/no/such/python"]
    done = made.run(["true"])
    assert done.returncode == 125
    assert b"cannot start /no/such/python: No such file" in done.stderr


def test_fail_open_runs_the_command_unobserved(launch: Make) -> None:
    made = launch("crash=ModuleNotFoundError: x", fail_open=True)
    done = made.run(["sh", "-c", "env; exit 6"])
    assert done.returncode == 6
    assert done.stderr == (
        b"tokenproxy: the proxy does not start (ModuleNotFoundError: x);"
        b" the command runs unobserved\n"
    )
    assert b"HTTPS_PROXY" not in done.stdout
    assert b"TOKENPROXY_RUN_ID" not in done.stdout


def test_fail_open_with_a_good_proxy_observes(launch: Make) -> None:
    made = launch(fail_open=True)
    done = made.run([*SUBJECT, "talk", "a"])
    assert done.stdout == b"generation 0\n"
    assert b"1 call " in done.stderr


def test_the_first_time_the_command_waits_for_the_proxy(launch: Make) -> None:
    made = launch("slow=0.3")
    made.run(["true"])
    keys = [next(iter(order)) for order in made.orders()]
    assert keys == ["config", "ready", "child", "finish"]
    assert made.marker.exists()


def test_later_both_start_at_once(launch: Make) -> None:
    made = launch("slow=0.5")
    made.prove()
    done = made.run([*SUBJECT, "talk", "early"])
    assert done.stdout == b"generation 0\n"  # it waited in the backlog
    assert made.noted("finish")


def test_a_short_command_does_not_wait_for_a_proxy_that_has_nothing_to_do(launch: Make) -> None:
    made = launch("deaf")
    made.prove()
    done = made.run(["sh", "-c", "exit 3"])
    assert done.returncode == 3
    assert b"tokenproxy: 0 calls" in done.stderr
    assert made.run_dirs() == []
    until(lambda: not any(alive(pid) for pid in made.noted("pid")))


def test_a_short_command_with_telemetry_waits_for_its_span(launch: Make) -> None:
    made = launch("slow=0.3")
    made.prove()
    made.run(["true"], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    assert made.noted("finish")


def test_a_short_command_waits_for_a_proxy_that_has_a_dead_run_to_settle(launch: Make) -> None:
    made = launch("slow=0.3")
    made.prove()
    (made.state / "runs" / "dead").mkdir(parents=True)
    (made.state / "runs" / "dead" / "journal-0.jsonl").touch()
    made.run(["true"])
    assert made.noted("finish")


def test_a_proven_proxy_that_does_not_start_ends_the_command(launch: Make) -> None:
    made = launch("crash=OSError: no space", "slow=0.2")
    made.prove()
    done = made.run([*SUBJECT, "count", "SIGINT"])
    assert done.returncode == 125
    assert b"the proxy does not start: OSError: no space;" in done.stderr
    assert not made.marker.exists()
    assert not alive(int(done.stdout.split()[1]))


def test_an_interrupt_while_waiting_for_the_proxy(launch: Make, tmp_path: Path) -> None:
    made = launch("deaf")
    process = made.start(["touch", "ran"], cwd=tmp_path)
    until(lambda: made.noted("config"))
    process.terminate()
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "ran").exists()
    assert made.run_dirs() == []
    until(lambda: not alive(made.noted("pid")[0]))


# A proxy that dies


def test_a_proxy_that_dies_is_replaced_on_the_same_port(launch: Make) -> None:
    made = launch("mortal")
    done = made.run([*SUBJECT, "talk", "a", "die", "b", "die", "c"])
    assert done.stdout.split(b"\n")[:5] == [
        *(b"generation 0", b"closed", b"generation 1", b"closed", b"generation 2"),
    ]
    assert [config.get("generation", 0) for config in made.noted("config")] == [0, 1, 2]
    assert len(set(made.noted("child"))) == 1  # each generation knows whom it serves
    assert len(made.noted("child")) == 3


def test_a_proxy_that_dies_too_often_is_given_up(launch: Make) -> None:
    made = launch("mortal")
    script = '"$@" talk die die die die die die 2>&1; sleep 0.2; "$@" talk x 2>&1 | tail -1; exit 9'
    done = made.run(["sh", "-c", script, "sh", *SUBJECT])
    assert done.returncode == 9
    assert b"ConnectionRefusedError" in done.stdout
    assert b"the proxy has died 6 times (" in done.stderr
    assert len(made.noted("config")) == 6


def test_a_proxy_that_dies_while_it_settles_is_replaced(launch: Make) -> None:
    made = launch("forgetful")
    done = made.run(["sh", "-c", "exit 2"])
    assert done.returncode == 2
    assert b"tokenproxy: 0 calls" in done.stderr
    assert len(made.noted("finish")) == 2


def test_a_proxy_that_does_not_settle_is_left_to_itself(launch: Make) -> None:
    made = launch("mute")
    process = made.start(["sh", "-c", "exit 4"])
    until(lambda: made.noted("finish"))
    process.terminate()  # the user does not wait
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 4
    assert b"the account is not settled (it is still busy)" in err
    (pid,) = made.noted("pid")
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_killed_launcher_leaves_the_command_and_the_proxy(launch: Make) -> None:
    made = launch()
    process = made.start([*SUBJECT, "count", "SIGINT"])
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.kill()
    process.wait(WAIT_S)
    until(lambda: made.noted("gone"), "the proxy to see that its launcher is gone")
    assert alive(child)
    os.kill(child, signal.SIGUSR2)
    assert process.stdout.readline() == b"SIGINT=0\n"
    os.kill(child, signal.SIGTERM)
    process.communicate(timeout=WAIT_S)


# What the command is given


def bare(launch: Launch, command: list[str], **popen: Any) -> bytes:
    """The same without the prefix."""
    env = launch.environment()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, **popen) as process:
        output: bytes = process.communicate(timeout=WAIT_S)[0]
        return output


def ignore_some() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)


def block_some() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD})


def change_umask() -> None:
    os.umask(0o027)


@pytest.mark.parametrize("before", [None, ignore_some, block_some, change_umask])
def test_the_command_inherits_what_it_would_without_us(
    launch: Make, before: Callable[[], None] | None
) -> None:
    made = launch()
    read, write = os.pipe()
    try:
        given: dict[str, Any] = {
            "preexec_fn": before,
            "pass_fds": (read,),
            "stdin": subprocess.DEVNULL,
        }
        command = [*SUBJECT, "state", "", "-x", "--", "a b"]
        expected = json.loads(bare(made, command, **given))
        found = json.loads(made.run(command, **given).stdout)
    finally:
        os.close(read)
        os.close(write)
    for what in (expected, found):
        del what["files"]["1"], what["files"]["2"]  # pipes of the two runs
        del what["group"], what["session"], what["environment"]
    assert str(read) in expected["files"]
    assert found == expected


def test_the_command_is_in_our_group_and_session(launch: Make) -> None:
    process = launch().start([*SUBJECT, "state"], start_new_session=True)
    out, _ = process.communicate(timeout=WAIT_S)
    found = json.loads(out)
    assert found["group"] == found["session"] == process.pid


def test_the_proxy_is_in_neither_and_has_none_of_the_users_files(launch: Make) -> None:
    made = launch()
    read, write = os.pipe()
    try:
        made.run(["true"], pass_fds=(read, write))
    finally:
        os.close(read)
        os.close(write)
    (started,) = [order for order in made.orders() if "open" in order]
    assert started["session"] == started["pid"]
    assert started["open"]["0"] == "/dev/null"
    assert started["open"]["1"] == started["open"]["2"]
    assert started["open"]["1"].endswith("/proxy.log")
    assert [path[:6] for fd, path in started["open"].items() if int(fd) > 2] == ["socket"] * 2


def test_only_our_variables_differ(launch: Make) -> None:
    made = launch()
    env = {"ODD": os.fsdecode(b"\xff\n"), "EMPTY": "", "NO_PROXY": "corp.example"}
    # No LANG: Python itself then sets LC_CTYPE.
    surroundings = {k: v for k, v in made.environment(env).items() if k != "LANG"}
    command = [*SUBJECT, "state"]

    def variables(argv: list[str]) -> dict[str, str]:
        done = subprocess.run(argv, env=surroundings, stdout=-1, check=True, timeout=WAIT_S)
        found: dict[str, str] = json.loads(done.stdout)["environment"]
        return found

    plain, prefixed = variables(command), variables([*made.argv, *command])
    changed = {
        bytes.fromhex(name).decode()
        for name in plain.keys() | prefixed.keys()
        if plain.get(name) != prefixed.get(name)
    }
    assert changed == {
        *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS"),
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "DENO_CERT"),
        *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS"),
        *("TRACEPARENT", "TOKENPROXY_RUN_ID", "TOKENPROXY_OUTER_RUN"),
    }


def test_our_own_environment_is_not_touched(launch: Make) -> None:
    """The proxy goes out the user's way, not through itself."""
    made = launch()
    made.proxy[0:0] = ["/bin/sh", "-c", 'env > "$0"; exec "$@"', str(made.home / "proxy-env")]
    made.run(["true"], {"HTTPS_PROXY": "http://corp:3128"})
    env = (made.home / "proxy-env").read_text().splitlines()
    assert "HTTPS_PROXY=http://corp:3128" in env
    assert not [line for line in env if line.startswith(("SSL_CERT_FILE", "TRACEPARENT"))]
    assert made.noted("config")[0]["upstream_proxy"] == "http://corp:3128"


def test_a_run_in_a_run_goes_past_the_outer_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    inner = Launch(tmp_path / "in")
    outer = Launch(tmp_path / "out", routes={"api.anthropic.com": "http://127.0.0.1:1"})
    env = {"HTTPS_PROXY": "http://corp:3128", "NODE_EXTRA_CA_CERTS": "/corp.pem"}
    done = outer.run([*inner.argv, "sh", "-c", 'echo "$HTTPS_PROXY $TOKENPROXY_RUN_ID"'], env)
    (within,), (without,) = inner.noted("config"), outer.noted("config")
    assert within["upstream_proxy"] == without["upstream_proxy"] == "http://corp:3128"
    assert within["routes"] == {"api.anthropic.com": "http://127.0.0.1:1"}
    assert within["run"]["trace_id"] == without["run"]["trace_id"]
    assert within["run"]["parent_span_id"] == without["run"]["span_id"]
    assert done.stdout.decode().split()[1] == within["run"]["run_id"]
    assert done.stdout.decode().split()[0] not in ("", "http://corp:3128")


def test_whoever_else_is_our_child_is_waited_for(launch: Make) -> None:
    """As process 1 of a container, or after an exec, we have children that we did not make."""
    made = launch()
    script = 'sleep 0.05 & echo $!; exec "$@"'
    argv = ["sh", "-c", script, "sh", *made.argv, *SUBJECT, "count", "SIGINT"]
    with subprocess.Popen(argv, env=made.environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        stray = int(process.stdout.readline())
        child = int(process.stdout.readline().split()[1])
        until(lambda: not Path(f"/proc/{stray}").exists(), "the stray child to be waited for")
        os.kill(child, signal.SIGTERM)


def test_importing_it_imports_neither_mitmproxy_nor_opentelemetry() -> None:
    code = (
        "import sys, tokenproxy.launch.run, tokenproxy.launch.authority as authority;"
        "authority.make_authority(['x']);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=-1, check=True, timeout=WAIT_S)
    assert b"mitmproxy" not in done.stdout
    assert b"opentelemetry" not in done.stdout
