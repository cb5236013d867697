"""Options and variables of `tokenproxy run`, as they reach the launcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tokenproxy.cli.main import main
from tokenproxy.launch import run as launcher
from tokenproxy.launch.errors import CannotRunError
from tokenproxy.launch.options import RunOptions

VARIABLES = (
    *("STORY_ID", "ITERATION", "COMPLEXITY", "MODE", "LEDGER", "ROUTES", "LABELS"),
    *("NO_SUMMARY", "FAIL_OPEN", "CLIENT_TELEMETRY"),
)


class LeftError(Exception):
    """Stands for the end of the process."""


class Ending:
    def leave(self) -> None:
        raise LeftError


type Ask = Callable[..., RunOptions]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`tokenproxy run` with these words and variables: what the launcher is asked for."""
    for name in VARIABLES:
        monkeypatch.delenv(f"TOKENPROXY_{name}", raising=False)
    asked: list[RunOptions] = []

    def run(options: RunOptions, _env: Mapping[str, str], **_more: Any) -> Ending:
        asked.append(options)
        return Ending()

    monkeypatch.setattr(launcher, "run", run)

    def ask(*words: str, **variables: str) -> RunOptions:
        for name, value in variables.items():
            monkeypatch.setenv(f"TOKENPROXY_{name}", value)
        monkeypatch.setattr("tokenproxy.launch.environment.inherited", lambda: _prefixed(variables))
        with pytest.raises((LeftError, SystemExit)):
            main(["run", *words])
        return asked.pop()

    return ask


def _prefixed(variables: Mapping[str, str]) -> dict[str, str]:
    return {f"TOKENPROXY_{name}": value for name, value in variables.items()}


def test_defaults(ask: Ask) -> None:
    assert ask("true") == RunOptions(command=("true",))


def test_every_option(ask: Ask) -> None:
    asked = ask(
        *("--story", "S-1", "--iteration", "7", "--complexity", "3", "--mode", "reverse"),
        *("--ledger", "l.jsonl", "--route", "a=http://x", "--route", "b=http://y"),
        *("--label", "k=v w", "--no-summary", "--fail-open", "--client-telemetry"),
        *("--", "claude", "-p", "hello"),
    )
    assert asked == RunOptions(
        command=("claude", "-p", "hello"),
        story_id="S-1",
        iteration=7,
        complexity=3,
        mode="reverse",
        ledger="l.jsonl",
        routes={"a": "http://x", "b": "http://y"},
        labels={"k": "v w"},
        summary=False,
        fail_open=True,
        client_telemetry=True,
    )


def test_every_variable(ask: Ask) -> None:
    asked = ask(
        "true",
        STORY_ID='a "quoted"\nstory',
        ITERATION="7",
        COMPLEXITY="3",
        MODE="forward",
        LEDGER="l.jsonl",
        ROUTES="a=http://x, b=http://y",
        LABELS="k=v j=w",
        NO_SUMMARY="1",
        FAIL_OPEN="yes",
        CLIENT_TELEMETRY="true",
    )
    assert asked == RunOptions(
        command=("true",),
        story_id='a "quoted"\nstory',
        iteration=7,
        complexity=3,
        mode="forward",
        ledger="l.jsonl",
        routes={"a": "http://x", "b": "http://y"},
        labels={"k": "v", "j": "w"},
        summary=False,
        fail_open=True,
        client_telemetry=True,
    )


def test_a_flag_wins_over_its_variable(ask: Ask) -> None:
    asked = ask("--story", "flag", "--iteration", "1", "true", STORY_ID="env", ITERATION="2")
    assert (asked.story_id, asked.iteration) == ("flag", 1)


def test_empty_variables_are_unset(ask: Ask) -> None:
    assert ask("true", **dict.fromkeys(VARIABLES, "")) == RunOptions(command=("true",))


def test_a_switch_can_be_off(ask: Ask) -> None:
    off = ask("true", NO_SUMMARY="0", FAIL_OPEN="false", CLIENT_TELEMETRY="no")
    assert off == RunOptions(command=("true",))


@pytest.mark.parametrize(
    "command",
    [
        ("claude", "--story", "its own", "--no-summary"),
        ("claude", "--", "-x"),
        ("ls", "--help"),
        ("-",),
        ("sh", "", " ", "a b", "*"),
        ("printf", "\udcff"),
    ],
)
def test_all_after_the_commands_name_is_its_own(ask: Ask, command: tuple[str, ...]) -> None:
    assert ask(*command).command == command
    assert ask("--", *command).command == command


def test_a_command_that_looks_like_an_option(ask: Ask) -> None:
    assert ask("--", "--story", "x").command == ("--story", "x")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no command to run"),
        (["--"], "no command to run"),
        (["--bogus", "true"], "--bogus"),
        (["--mode", "sideways", "true"], "sideways"),
        (["--iteration", "-1", "true"], "iteration"),
        (["--complexity", "much", "true"], "complexity"),
        (["--route", "x", "true"], "route 'x' is not HOST=URL"),
        (["--label", "x", "true"], "label 'x' is not KEY=VALUE"),
    ],
)
def test_bad_options(capfd: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", *words])
    out, err = capfd.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert err.startswith("tokenproxy: ")
    assert err.count("\n") == 1
    assert complaint in err


def test_what_the_launcher_refuses(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_given: Any, **_more: Any) -> None:
        raise CannotRunError("the proxy does not start", 125)

    monkeypatch.setattr(launcher, "run", refuse)
    with pytest.raises(SystemExit) as left:
        main(["run", "true"])
    assert left.value.code == 125
    assert capfd.readouterr().err == "tokenproxy: the proxy does not start\n"
