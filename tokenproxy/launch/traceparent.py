"""W3C Trace Context in environment variables: ``TRACEPARENT`` and ``TRACESTATE``.

Read strictly: a value that is not valid is no parent, and its ``TRACESTATE`` goes
with it (W3C Trace Context, sections 2.2 and 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from tokenproxy.config import RunContext

VARIABLES = ("TRACEPARENT", "TRACESTATE")

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


class Parent(msgspec.Struct, frozen=True):
    """The span that our iteration is a child of."""

    trace_id: str
    span_id: str
    flags: int
    state: str | None


def inherited(env: Mapping[str, str]) -> Parent | None:
    """The parent that ``env`` names, if it names one."""
    found = _FORM.fullmatch(env.get("TRACEPARENT", ""))
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    # Of flags that we do not know only "sampled" may be passed on by another version's reader.
    known = int(flags, 16) if version == "00" else int(flags, 16) & _SAMPLED
    return Parent(trace_id, span_id, known, env.get("TRACESTATE") or None)


def for_child(run: RunContext) -> dict[str, str]:
    """The variables that make the run's iteration the parent of what the command traces."""
    variables = {"TRACEPARENT": f"00-{run.trace_id}-{run.span_id}-{run.trace_flags:02x}"}
    if run.tracestate is not None:
        variables["TRACESTATE"] = run.tracestate
    return variables
