"""What Grafana makes of a dashboard's queries before it sends them, as far as ours need it.

From its documentation (dashboards/variables, Global variables; datasources/prometheus,
template variables) and, for reference, its code: pkg/promlib/models/query.go,
packages/grafana-data rangeutil, packages/grafana-prometheus.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]

DIRECTORY = Path(__file__).parents[3] / "docker" / "dashboards"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.json"))

SCRAPE_S = 60
"""``timeInterval`` of the provisioned data source, seconds."""
POINTS = 1000
"""Points that a panel has room for, about: its width in pixels."""
_NICE_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")

Chosen = Mapping[str, tuple[str, ...]]
"""Variable -> values that are chosen; one that is absent is at All."""
ALL: Chosen = MappingProxyType({})


@dataclass(frozen=True)
class Period:
    """A dashboard's time range, Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> int:
        """``$__range_s``."""
        return round(self.end - self.start)

    def aligned(self, step_s: int) -> Period:
        """As a chart of this step asks for it: both ends are cut to multiples of the step."""
        return Period(*(math.floor(at / step_s) * step_s for at in (self.start, self.end)))


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    panel: str
    """Dashboard / title / letter."""
    query: Json
    smallest_s: int
    """The panel's minimal step."""

    @property
    def is_traces(self) -> bool:
        return bool(self.query["datasource"]["type"] == "jaeger")

    def step_s(self, period: Period) -> int:
        """``$__interval``, which is the chart's step."""
        wanted = max(period.seconds / POINTS, self.smallest_s)
        at = min(bisect_left(_NICE_S, wanted), len(_NICE_S) - 1)
        return max(_NICE_S[at], self.smallest_s)

    def expression(self, period: Period, chosen: Chosen = ALL, step_s: int | None = None) -> str:
        """The PromQL that is sent."""
        step = self.step_s(period) if step_s is None else step_s
        return interpolate(self.query["expr"], period, step, chosen)


def load(name: str) -> Json:
    """A dashboard."""
    loaded: Json = json.loads((DIRECTORY / f"{name}.json").read_text())
    return loaded


def panels(board: Json) -> Iterator[Json]:
    """All that show something, those in closed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def targets(name: str) -> list[Target]:
    """Every query of every panel, and of the annotations."""
    board = load(name)
    found = [
        Target(f"{name} / {panel['title']} / {query['refId']}", query, _smallest_s(panel))
        for panel in panels(board)
        for query in panel["targets"]
    ]
    return found + [
        Target(f"{name} / annotation / {each['name']}", {**each, "range": True}, SCRAPE_S)
        for each in board["annotations"]["list"]
    ]


def target(name: str, title: str, letter: str = "A") -> Target:
    """One of them; of several panels of a title the first."""
    wanted = f"{name} / {title} / {letter}"
    return next(each for each in targets(name) if each.panel == wanted)


def interpolate(expression: str, period: Period, step_s: int, chosen: Chosen) -> str:
    """An expression with its variables replaced."""
    values = {
        "__interval": f"{step_s}s",
        "__rate_interval": f"{max(step_s + SCRAPE_S, 4 * SCRAPE_S)}s",
        "__range": f"{period.seconds}s",
        "__range_s": str(period.seconds),
    }

    def replace(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name in values:
            return values[name]
        return _as_regex(chosen[name]) if name in chosen else ".*"

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", replace, expression)


def _as_regex(values: tuple[str, ...]) -> str:
    """Values of a variable that may have several, inside a PromQL string."""
    escaped = [
        re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))
        for value in values
    ]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def tags(target: Target, **values: str) -> dict[str, str]:
    """What a search for traces asks for, as the Jaeger data source reads it (logfmt)."""
    text = re.sub(r"\$(\w+)", lambda found: values[found[1]], target.query["tags"])
    pairs = re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', text)
    return {key: quoted or bare for key, quoted, bare in pairs}


def _smallest_s(panel: Json) -> int:
    found = _DURATION.fullmatch(panel.get("interval", f"{SCRAPE_S}s"))
    assert found, panel["interval"]
    return int(found[1]) * _UNITS_S[found[2]]
