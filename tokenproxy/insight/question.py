"""What can be asked of calls: by what they are grouped, and which of them are meant."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Dimension(msgspec.Struct, frozen=True):
    """Something that calls can be grouped or chosen by. One of the last three says what it is."""

    name: str
    """As on the command line and as key in JSON."""
    expression: str = ""
    """SQL over calls that every engine understands."""
    clock: str = ""
    """How the call's start is written (strftime), in the zone that the report is for."""
    label: str | None = None
    """Key of a label."""
    ordered: bool = False
    """Lines follow its own order (time) rather than cost."""


_ITERATION = (
    "if(iteration = 0 AND coalesce(story_id, '') = '' AND coalesce(project, '') = '',"
    " NULL, iteration)"
)
"""A gateway has no iterations (:func:`tokenproxy.record.row.of_gateway`)."""

_NAMED = {
    dimension.name: dimension
    for dimension in (
        Dimension("hour", clock="%Y-%m-%d %H:00", ordered=True),
        Dimension("day", clock="%Y-%m-%d", ordered=True),
        Dimension("week", clock="%G-W%V", ordered=True),
        Dimension("month", clock="%Y-%m", ordered=True),
        Dimension("story", "story_id"),
        Dimension("iteration", _ITERATION, ordered=True),
        Dimension("run", "run_id", ordered=True),
        Dimension("project", "project"),
        Dimension("provider", "provider"),
        Dimension("model", "model"),
        Dimension("session", "session_id"),
        # Only subagents have an id; whoever has none is the main agent.
        Dimension("agent", "coalesce(agent_type, if(agent_id IS NULL, 'main', 'subagent'))"),
        Dimension("class", "request_class"),
        Dimension("outcome", "coalesce(outcome, if(success, 'complete', 'error'))"),
        Dimension("client", "client"),
    )
}
DIMENSIONS = (*_NAMED, "label:KEY")


def is_dimension(name: str) -> bool:
    """Whether calls can be grouped by it."""
    return name in _NAMED or name.startswith("label:")


def dimension(name: str) -> Dimension:
    """The dimension of that name.

    Raises:
        ValueError: With a sentence that lists them.
    """
    kind, colon, key = name.partition(":")
    if kind == "label" and colon and key:
        return Dimension(name, label=key)
    if name not in _NAMED:
        raise ValueError(f"{name!r} is no dimension: use one of {', '.join(DIMENSIONS)}")
    return _NAMED[name]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to count."""

    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    where: tuple[tuple[Dimension, str], ...] = ()
    """All must hold."""


def tells_models(dimensions: tuple[Dimension, ...]) -> bool:
    """Whether a call that billed several models is to be divided among them."""
    return any(one.name == "model" for one in dimensions)
