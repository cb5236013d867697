"""What `tokenproxy run` was asked for, flags and environment already joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tokenproxy.config import Mode
from tokenproxy.launch.routes import parse_labels, parse_routes, split_variable

ROUTES_VARIABLE = "TOKENPROXY_ROUTES"
LABELS_VARIABLE = "TOKENPROXY_LABELS"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one run. Text is as given; it may hold what UTF-8 cannot."""

    command: tuple[str, ...]
    story_id: str = ""
    iteration: int | None = None
    """None: the next one."""
    complexity: int = 0
    mode: Mode = "auto"
    ledger: str | None = None
    """As named by the user; None: the place decides."""
    routes: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    summary: bool = True
    fail_open: bool = False
    inject_include_usage: bool = False
    client_telemetry: bool = False
    otel_spool: str | None = None
    """Directory for telemetry that cannot be delivered."""
    capture_days: float | None = None
    """Keep the calls' bodies, for so many days."""


def joined_routes(flags: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Routes of ``TOKENPROXY_ROUTES`` and of ``--route``, which wins for the same host.

    Raises:
        UsageError: One of them is no route.
    """
    return parse_routes((*split_variable(env.get(ROUTES_VARIABLE, "")), *flags))


def joined_labels(flags: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Labels of ``TOKENPROXY_LABELS`` and of ``--label``, which wins for the same key.

    Raises:
        UsageError: One of them is no label.
    """
    return parse_labels((*split_variable(env.get(LABELS_VARIABLE, "")), *flags))
