"""``tokenproxy run`` without what only its help and its errors need.

It stands before every start of the user's command. Reading options with Typer takes a
third of the time until then: plain ones are understood here, and the same values given to the
same function; all others take the usual way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

LARGEST = 2**53 - 1
"""Beyond it JSON's readers no longer agree on a number."""
MODES = ("auto", "forward", "reverse")

_VALUES = {
    # Option -> keyword of :func:`start`, its variable.
    "--story": ("story", "TOKENPROXY_STORY_ID"),
    "--iteration": ("iteration", "TOKENPROXY_ITERATION"),
    "--complexity": ("complexity", "TOKENPROXY_COMPLEXITY"),
    "--mode": ("mode", "TOKENPROXY_MODE"),
    "--ledger": ("ledger", "TOKENPROXY_LEDGER"),
    "--capture-days": ("capture_days", "TOKENPROXY_CAPTURE_DAYS"),
    "--otel-spool": ("otel_spool", "TOKENPROXY_OTEL_SPOOL"),
}
_SWITCHES = {
    "--inject-include-usage": ("inject_include_usage", "TOKENPROXY_INJECT_INCLUDE_USAGE"),
    "--capture": ("capture", "TOKENPROXY_CAPTURE"),
    "--client-telemetry": ("client_telemetry", "TOKENPROXY_CLIENT_TELEMETRY"),
    "--no-summary": ("no_summary", "TOKENPROXY_NO_SUMMARY"),
    "--fail-open": ("fail_open", "TOKENPROXY_FAIL_OPEN"),
}
_LISTS = {"--route": "route", "--label": "label"}
"""Options that may be repeated; :func:`start` checks what they say and reads their variables."""
_LONGEST = {"iteration": 15, "complexity": 15, "capture_days": 3}
"""Digits of a number that cannot be too large."""
_NUMBERS = tuple(_LONGEST)


def plain(words: Sequence[str], env: Mapping[str, str]) -> dict[str, Any] | None:
    """Keywords of :func:`start` if the words behind ``run`` are plain.

    Args:
        words: ``[OPTION [VALUE]]... -- COMMAND...``; each option once, lists' as often as you like.
        env: Where options that are not given may be.

    Returns:
        None if anything is not, or may be wrong: then it is not for us to say so.
    """
    given: dict[str, str] = {}
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            found[_SWITCHES[word][0]] = True
        elif name in _VALUES and name not in given:
            given[name] = value if equals else next(rest, "")
        elif name in _LISTS:
            found.setdefault(_LISTS[name], []).append(value if equals else next(rest, ""))
        else:
            return None
    found["command"] = list(rest)
    switched = any(env.get(variable) for _, variable in _SWITCHES.values())
    if switched or not found["command"] or not all(given.values()):
        return None
    for name, (keyword, variable) in _VALUES.items():
        text = given.get(name) or env.get(variable)
        if text and not _is_plain(keyword, text):
            return None
        if text:
            found[keyword] = int(text) if keyword in _NUMBERS else text
    return found


def _is_plain(keyword: str, text: str) -> bool:
    if keyword in _NUMBERS:
        return text.isascii() and text.isdecimal() and len(text) <= _LONGEST[keyword]
    return keyword != "mode" or text in MODES


def quick(words: Sequence[str]) -> int | None:
    """Run the command if the words behind ``run`` are plain; else None, and nothing was done."""
    keywords = plain(words, os.environ)
    return None if keywords is None else start(**keywords)


def start(
    *,
    command: Sequence[str] | None,
    story: str = "",
    iteration: int | None = None,
    complexity: int = 0,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    ledger: str | None = None,
    route: Sequence[str] | None = None,
    label: Sequence[str] | None = None,
    inject_include_usage: bool = False,
    client_telemetry: bool = False,
    otel_spool: str | None = None,
    capture: bool = False,
    capture_days: int = 7,
    no_summary: bool = False,
    fail_open: bool = False,
) -> int:
    """Run a command as the options say. Returns, with a status, only if that cannot be done."""
    _import_msgspec()
    from tokenproxy.launch import environment, options
    from tokenproxy.launch.errors import CannotRunError, UsageError
    from tokenproxy.launch.run import run as launch
    from tokenproxy.launch.summary import say

    env = environment.inherited()
    try:
        if not command:
            raise UsageError("no command to run: tokenproxy run [OPTIONS] -- COMMAND...")
        named = {"--story": story, "--ledger": ledger, "--otel-spool": otel_spool}
        for name in (name for name, value in named.items() if value == "--"):
            raise UsageError(f"{name} has no value: what follows it is the -- before the command")
        ending = launch(
            options.RunOptions(
                command=tuple(command),
                story_id=story,
                iteration=iteration,
                complexity=complexity,
                mode=mode,
                ledger=ledger,
                routes=options.joined_routes(route or (), env),
                labels=options.joined_labels(label or (), env),
                summary=not no_summary,
                fail_open=fail_open,
                inject_include_usage=inject_include_usage,
                client_telemetry=client_telemetry,
                otel_spool=otel_spool,
                capture_days=capture_days if capture else None,
            ),
            env,
        )
    except CannotRunError as error:
        say(str(error))
        return error.status
    ending.leave()
    return 0


def _import_msgspec() -> None:
    """Import msgspec as where typing_extensions is not installed.

    It takes from there what typing has as well. The rest of that package, and what it
    imports to read source code, is as much again as all of msgspec.
    """
    if "msgspec" in sys.modules or "typing_extensions" in sys.modules:
        return
    # What is None here cannot be imported ("The module cache" in Python's reference).
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401 - for who imports it next
    finally:
        del sys.modules["typing_extensions"]
