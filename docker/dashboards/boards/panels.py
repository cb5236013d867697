"""Panels, variables and dashboards as Grafana's JSON (classic model, schema 42)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from boards import promql

Json = dict[str, Any]

WIDTH = 24
METRICS: Json = {"type": "prometheus", "uid": "${datasource}"}
TRACES: Json = {"type": "jaeger", "uid": "${traces}"}

BARS: Json = {
    "drawStyle": "bars",
    "barAlignment": 1,
    "fillOpacity": 80,
    "lineWidth": 0,
    "stacking": {"mode": "normal", "group": "A"},
}
LINES: Json = {"drawStyle": "line", "lineWidth": 2, "spanNulls": True, "showPoints": "auto"}
_REDUCE: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def instant(expression: str, legend: str = "", *, table: bool = False) -> Json:
    """One value a series, at the end of the time range."""
    target = _target(expression, legend) | {"instant": True, "range": False}
    return target | {"format": "table"} if table else target


def ranged(expression: str, legend: str = "", *, exemplars: bool = False) -> Json:
    """A value a step."""
    return _target(expression, legend) | {
        "instant": False,
        "range": True,
        "exemplar": exemplars,
    }


def _target(expression: str, legend: str) -> Json:
    return {
        "datasource": METRICS,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend or "__auto",
    }


def traces(tags: str, limit: int = 20) -> Json:
    """A search for traces of ours that have a span with all these tags (logfmt)."""
    return {
        "datasource": TRACES,
        "queryType": "search",
        "service": "$service",
        "tags": tags,
        "limit": limit,
    }


def panel(
    kind: str,
    title: str,
    description: str,
    *targets: Json,
    unit: str,
    size: tuple[int, int],
    defaults: Json | None = None,
    options: Json | None = None,
    **more: Any,
) -> Json:
    """Any panel. ``size`` is (width, height) on the grid; the place is given later."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": targets[0]["datasource"],
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {"defaults": {"unit": unit, **(defaults or {})}, "overrides": []},
        "options": options or {},
        "targets": [
            {"refId": chr(ord("A") + number), **target} for number, target in enumerate(targets)
        ],
        **more,
    }


def stat(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str = "none",
    decimals: int | None = None,
    bad_from: float | None = None,
    width: int = 4,
) -> Json:
    """One number; red from ``bad_from`` on."""
    defaults: Json = {} if decimals is None else {"decimals": decimals}
    if bad_from is not None:
        steps = [{"color": "text", "value": None}, {"color": "red", "value": bad_from}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return panel(
        "stat",
        title,
        description,
        instant(expression),
        unit=unit,
        size=(width, 4),
        defaults=defaults,
        options={
            "reduceOptions": _REDUCE,
            "colorMode": "none" if bad_from is None else "value",
            "graphMode": "none",
            "textMode": "value",
        },
    )


def chart(
    title: str,
    description: str,
    *targets: Json,
    unit: str,
    custom: Json = BARS,
    size: tuple[int, int] = (12, 8),
    interval: str = "1m",
    defaults: Json | None = None,
) -> Json:
    """A chart over time. ``interval`` is the smallest step: what is sent comes every minute."""
    return panel(
        "timeseries",
        title,
        description,
        *targets,
        unit=unit,
        size=size,
        defaults={"custom": custom, **({"min": 0} if defaults is None else defaults)},
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        interval=interval,
    )


def donut(title: str, description: str, target: Json, *, unit: str, width: int = 6) -> Json:
    """Shares of a whole."""
    return panel(
        "piechart",
        title,
        description,
        target,
        unit=unit,
        size=(width, 8),
        options={
            "reduceOptions": _REDUCE,
            "pieType": "donut",
            "displayLabels": ["percent"],
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        },
    )


def table(
    title: str,
    description: str,
    key: tuple[str, ...],
    columns: Sequence[tuple[str, str, str]],
    *,
    width: int = 12,
    height: int = 8,
) -> Json:
    """A row a combination of the labels ``key``; ``columns`` are (heading, unit, query)."""
    targets = [instant(expression, table=True) for _, _, expression in columns]
    alone = len(columns) == 1
    values = [
        "Value" if alone else f"Value #{chr(ord('A') + number)}" for number in range(len(columns))
    ]
    made = panel(
        "table",
        title,
        description,
        *targets,
        unit="short",
        size=(width, height),
        options={"showHeader": True, "sortBy": [{"displayName": columns[0][0], "desc": True}]},
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "renameByName": dict(zip(values, [c[0] for c in columns], strict=True)),
                    "indexByName": {name: at for at, name in enumerate((*key, *values))},
                },
            },
        ],
    )
    made["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": heading},
            "properties": [{"id": "unit", "value": unit}],
        }
        for heading, unit, _ in columns
    ]
    return made


def trace_list(title: str, description: str, tags: str, *, width: int = 12) -> Json:
    """Traces that a search finds, newest first, each a link to its tree."""
    return panel(
        "table",
        title,
        description,
        traces(tags),
        unit="short",
        size=(width, 8),
        options={"showHeader": True, "sortBy": [{"displayName": "Start time", "desc": True}]},
    )


def heading(title: str) -> Json:
    """A line between groups of panels."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def folded(title: str, repeat: str, *panels: Json) -> Json:
    """A group for each value of a variable, closed until somebody looks: it asks nothing."""
    return {
        "type": "row",
        "title": title,
        "collapsed": True,
        "repeat": repeat,
        "panels": list(panels),
    }


def data_source(name: str, label: str, kind: str, uid: str) -> Json:
    """A choice among the data sources of a kind."""
    return {
        "name": name,
        "label": label,
        "type": "datasource",
        "query": kind,
        "current": {"text": kind.capitalize(), "value": uid},
    }


def choice(name: str, label: str, metric: str, by: str) -> Json:
    """Values of a label, any number of them; All also takes series that lack it."""
    query = f"label_values({metric}, {by})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": METRICS,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def text(name: str, label: str, value: str) -> Json:
    """A value that is typed in."""
    current = {"text": value, "value": value}
    return {
        "name": name,
        "label": label,
        "type": "textbox",
        "query": value,
        "current": current,
        "options": [{**current, "selected": True}],
    }


SOURCES = (
    data_source("datasource", "Metrics", "prometheus", "prometheus"),
    data_source("traces", "Traces", "jaeger", "jaeger"),
)
SERVICE = text("service", "Service in Jaeger", "tokenproxy")
"""What OTEL_SERVICE_NAME says, where it says anything."""
PROVIDERS = choice("provider", "Provider", promql.CALLS, promql.PROVIDER)
MODELS = choice(
    "model",
    "Requested model",
    f"{promql.CALLS}{{{promql.BY_PROVIDER}}}",
    promql.REQUESTED,
)
STORIES = choice("story", "Story", promql.CALLS, promql.STORY)


def board(
    name: str,
    description: str,
    panels: Sequence[Json],
    *,
    variables: Sequence[Json],
    since: str,
    refresh: str,
) -> Json:
    """A dashboard; panels flow from left to right and get their numbers in order."""
    placed = [dict(each) for each in panels]
    _place([*placed, *(inner for each in placed for inner in each.get("panels", ()))])
    _flow(placed)
    return {
        "uid": f"tokenproxy-{name}",
        "title": f"tokenproxy: {name}",
        "description": description,
        "tags": ["tokenproxy"],
        "schemaVersion": 42,
        "version": 1,
        "editable": True,
        "refresh": refresh,
        "time": {"from": f"now-{since}", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [
            {
                "type": "dashboards",
                "title": "",
                "tags": ["tokenproxy"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": False,
            }
        ],
        "templating": {"list": [*SOURCES, *variables]},
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "datasource": METRICS,
                    "enable": True,
                    "iconColor": "red",
                    "expr": 'ALERTS{alertname=~"Tokenproxy.*", alertstate="firing"}',
                    "titleFormat": "{{alertname}}",
                    "step": "60s",
                }
            ]
        },
        "panels": placed,
    }


def _place(panels: Sequence[Json]) -> None:
    for number, each in enumerate(panels, 1):
        each["id"] = number


def _flow(panels: Sequence[Json], top: int = 0) -> int:
    """Give every panel its place; returns the first free line below."""
    x = y = 0
    y = below = top
    for each in panels:
        if each["type"] == "row":
            each["gridPos"] = {"x": 0, "y": below, "w": WIDTH, "h": 1}
            _flow(each["panels"], below + 1)
            x, y, below = 0, below + 1, below + 1
            continue
        size = each["gridPos"]
        if x + size["w"] > WIDTH:
            x, y = 0, below
        each["gridPos"] = {"x": x, "y": y, **size}
        x += size["w"]
        below = max(below, y + size["h"])
    return below
