"""A run inside a run: the innermost one records.

A command under ``tokenproxy run`` may itself start ``tokenproxy run`` (a loop's
script, prefixed as a whole and in its parts). If the inner run went out through
the outer one, each call would be counted twice; if it stood back, its story, its
routes and its ledger would be lost. So each run leaves a note in the command's
environment that tells what it changed there, and an inner run takes those
changes back before it looks at anything: its calls go out as if the outer run
were not there, and its trace hangs on the outer one's by ``TRACEPARENT``.

What was *asked* of the outer run about the way of calls holds inside too: its
routes, its ledger if one was named, and the telemetry of the commands.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

VARIABLE = "TOKENPROXY_OUTER_RUN"


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One variable that the outer run has set."""

    now: str
    before: str | None = None


class OuterRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """The note."""

    changes: dict[str, Change] = msgspec.field(default_factory=dict)
    routes: dict[str, str] = msgspec.field(default_factory=dict)
    ledger: str | None = None
    client_telemetry: bool = False


def outer_run(env: Mapping[str, str]) -> OuterRun:
    """The note in ``env``; an empty one if there is none (or none that can be read)."""
    try:
        return msgspec.json.decode(env.get(VARIABLE, "{}"), type=OuterRun)
    except (msgspec.MsgspecError, UnicodeError):
        return OuterRun()


def without_outer_run(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` as it was before the outer run; what was changed since then is kept."""
    own = dict(env)
    for name, change in outer_run(env).changes.items():
        if own.get(name) != change.now:
            continue
        if change.before is None:
            del own[name]
        else:
            own[name] = change.before
    own.pop(VARIABLE, None)
    return own


def note(
    before: Mapping[str, str],
    changed: Mapping[str, str],
    *,
    routes: Mapping[str, str],
    ledger: str | None,
    client_telemetry: bool = False,
) -> str:
    """The note for a command whose environment is ``before`` updated by ``changed``."""
    changes = {
        name: Change(_text(value), _text(before[name]) if name in before else None)
        for name, value in changed.items()
    }
    asked = OuterRun(changes, dict(routes), ledger, client_telemetry)
    return msgspec.json.encode(asked).decode()


def _text(value: str) -> str:
    """``value`` without what UTF-8 cannot hold; such a value is then simply not taken back."""
    return value.encode("utf-8", "replace").decode()
