"""Grafana's and Prometheus' files: well-formed, and about what is emitted.

What the real programs make of them is tested in tests/real/stack; Grafana itself is not run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.semconv import Metric

DOCKER = Path(__file__).parent.parent / "docker"
DASHBOARDS = sorted((DOCKER / "dashboards").glob("*.json"))
ALERTS = DOCKER / "alerts.yaml"
Json = dict[str, Any]

UNITS = {"s": "_seconds"}
"""Unit -> suffix that Prometheus' OTLP receiver gives a metric's name; {annotations} give none."""
OF_PROMETHEUS = {"ALERTS", "tokenproxy:budget_usd:daily"}
OF_COLLECTOR = "otelcol_"
"""Its names are looked for in the real program by tests/real/stack/test_alerts.py."""


def load(path: Path) -> Any:
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def prometheus_names(metric: Metric) -> set[str]:
    """The series that a metric becomes (otlptranslator, UnderscoreEscapingWithSuffixes)."""
    name = metric.name.replace(".", "_") + UNITS.get(metric.unit, "")
    assert metric.unit in UNITS or metric.unit.startswith("{")
    if metric.instrument == "counter":
        return {f"{name}_total"}
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")}


EMITTED = {
    name
    for dialect in semconv.DIALECTS
    for metric in dialect.metrics()
    for name in prometheus_names(metric)
}
LABELS = {
    label.replace(".", "_")
    for dialect in semconv.DIALECTS
    for label in (
        dialect.operation,
        dialect.provider,
        dialect.request_model,
        dialect.response_model,
        dialect.agent_name,
        semconv.STORY_ID,
        semconv.ERROR_TYPE,
        semconv.OUTCOME,
        semconv.COMPLETENESS,
        semconv.TOKEN_KIND,
        semconv.COST_KNOWN,
        semconv.RETRY,
        semconv.FALLBACK_USED,
        semconv.NOTE,
        semconv.SERVER_ADDRESS,
        semconv.SERVER_PORT,
    )
} | {"le", "job", "instance", "otel_scope_name"}
LABELS_OF_OTHERS = {"alertname", "alertstate", "exporter", "receiver", "what"}

FUNCTIONS = {
    "sum", "max", "count", "group", "sum_over_time", "min_over_time", "present_over_time",
    "histogram_quantile", "increase", "rate", "vector", "scalar", "label_replace", "label_values",
    "or", "and", "unless", "by", "offset",
}  # fmt: skip


def panels(board: Json) -> Iterator[Json]:
    """All that show something, those in closed rows too."""
    for panel in board["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]


def expressions(path: Path) -> list[str]:
    """All PromQL in a dashboard or in the alerts, the variables' queries included."""
    loaded = load(path)
    if path.suffix != ".json":
        return [rule["expr"] for group in loaded["groups"] for rule in group["rules"]]
    targets = [target for panel in panels(loaded) for target in panel["targets"]]
    targets += loaded["annotations"]["list"]
    variables = loaded["templating"]["list"]
    return [target["expr"] for target in targets if "expr" in target] + [
        variable["definition"] for variable in variables if variable["type"] == "query"
    ]


def words(expression: str) -> tuple[set[str], set[str]]:
    """(names of series and functions, labels) that an expression uses."""
    labels: set[str] = set()
    for matchers in re.findall(r"\{([^{}]*)\}", expression):
        labels |= set(re.findall(r"(\w+)\s*[=!]", re.sub(r'"[^"]*"', '""', matchers)))
    for group in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^{}]*\}|\[[^\]]*\]|\bby\s*\([^)]*\)|\$\w+", " ", bare)
    if found := re.fullmatch(r"label_values\((.+), (\w+)\)", bare.strip()):
        labels.add(found[2])
        bare = f"label_values({found[1]})"
    names = set(re.findall(r"[a-zA-Z_:][\w:]*", re.sub(r"\b\d[\w.]*", " ", bare)))
    return names - labels, labels


# -- what is asked for ----------------------------------------------------------------


@pytest.mark.parametrize("path", [*DASHBOARDS, ALERTS], ids=lambda path: path.name)
def test_only_what_there_is_is_asked_for(path: Path) -> None:
    found = expressions(path)
    assert len(found) > 10
    for expression in found:
        names, labels = words(expression)
        series = names - FUNCTIONS
        ours = {name for name in series if not name.startswith(OF_COLLECTOR)} - OF_PROMETHEUS
        assert ours <= EMITTED, expression
        assert labels <= LABELS | (set() if ours else LABELS_OF_OTHERS), expression


def test_the_check_sees_a_wrong_name() -> None:
    names, labels = words('sum by (model) (rate(tokenproxy_calls{outcome="x"}[5m])) / 1e9')
    assert names == {"sum", "rate", "tokenproxy_calls"}
    assert labels == {"model", "outcome"}
    assert not labels <= LABELS
    names, labels = words('label_values(a_total{b=~"$c"}, d)')
    assert (names, labels) == ({"label_values", "a_total"}, {"b", "d"})


@pytest.mark.parametrize("path", [*DASHBOARDS, ALERTS], ids=lambda path: path.name)
def test_deltas_are_summed_and_running_totals_are_not(path: Path) -> None:
    assert expressions(path)
    for expression in expressions(path):
        if expression.startswith("label_values"):
            continue
        for function, series in re.findall(r"\b(\w+)\((?:\w+\()*([a-z_]\w+_total)\b", expression):
            of_collector = series.startswith(OF_COLLECTOR)
            allowed = (
                {"rate", "increase", "present_over_time"} if of_collector else {"sum_over_time"}
            )
            assert function in allowed or function == "label_replace", expression
        ours = re.findall(
            r"\b(?:tokenproxy|gen_ai)_\w+_(?:total|bucket)\b(?:\{[^}]*\})?\[", expression
        )
        assert len(ours) == expression.count("sum_over_time("), expression


@pytest.mark.parametrize("path", [*DASHBOARDS, ALERTS], ids=lambda path: path.name)
def test_nothing_is_counted_twice(path: Path) -> None:
    """Reasoning is in the output; the conventions' token metrics are the same tokens again."""
    assert expressions(path)
    for expression in expressions(path):
        assert not re.search(r"gen_ai_client_(token_usage|inference_usage)", expression)
        assert not re.search(r"_(sum|count)\b\{?", expression.replace("min_over_time", ""))
        if "reasoning_tokens" in expression:
            assert "+" not in expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_bars_are_of_one_step_each(path: Path) -> None:
    bars = [
        panel
        for panel in panels(load(path))
        if panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
    ]
    assert bars or path.stem == "live"
    for panel in bars:
        for target in panel["targets"]:
            assert "[$__interval] offset -$__interval" in target["expr"], panel["title"]
            assert target["range"]
            assert not target["instant"]


# -- form -----------------------------------------------------------------------------


def test_the_dashboards_are_what_the_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, "-B", DOCKER / "dashboards/make.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_are_whole(path: Path) -> None:
    board = load(path)
    assert board["schemaVersion"] == 42
    assert board["uid"] == f"tokenproxy-{path.stem}"
    everything = [*board["panels"], *(p for row in board["panels"] for p in row.get("panels", ()))]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_panel_is_explained(path: Path) -> None:
    text = (DOCKER.parent / "docs" / "dashboards.md").read_text()
    part = text.partition(f"\n## {path.stem}\n")[2].partition("\n## ")[0]
    explained = {
        title.strip()
        for line in part.splitlines()
        if line.startswith("| ")
        for title in line.split("|")[1].split(",")
    }
    assert {panel["title"] for panel in panels(load(path))} <= explained


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_do_not_overlap(path: Path) -> None:
    board = load(path)
    for level in (board["panels"], *(row.get("panels", ()) for row in board["panels"])):
        taken: set[tuple[int, int]] = set()
        for panel in level:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24, panel["title"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_variables_that_are_used_are_there_and_those_that_are_there_are_used(path: Path) -> None:
    variables = {variable["name"]: variable for variable in load(path)["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", path.read_text()))
    of_grafana = {"__range", "__range_s", "__interval", "__rate_interval", "__all"}
    assert used - of_grafana <= set(variables)
    # Traces are reached from the metrics' dots where no panel lists them.
    assert set(variables) - used <= {"traces"}
    for variable in variables.values():
        if variable["type"] == "query":
            assert variable["allValue"] == ".*", "All is everything, series without the label too"
            assert variable["includeAll"]
            assert variable["current"]["value"] == ["$__all"]


# -- data sources ---------------------------------------------------------------------


def data_sources() -> dict[str, Json]:
    loaded = load(DOCKER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    return {source["uid"]: source for source in loaded}


def test_grafana_reads_the_services_that_there_are() -> None:
    services = load(DOCKER / "compose.yaml")["services"]
    assert set(data_sources()) == {"prometheus", "jaeger"}
    for source in data_sources().values():
        found = re.match(r"http://([a-z]+):\d+$", source["url"])
        assert found
        assert found[1] in services
    (provider,) = load(DOCKER / "grafana/provisioning/dashboards/tokenproxy.yaml")["providers"]
    assert f"./dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_begin_with_the_provisioned_data_sources(path: Path) -> None:
    chosen = {
        variable["name"]: (variable["query"], variable["current"]["value"])
        for variable in load(path)["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert chosen == {"datasource": ("prometheus", "prometheus"), "traces": ("jaeger", "jaeger")}
    types = {uid: source["type"] for uid, source in data_sources().items()}
    assert all(types[uid] == kind for kind, uid in chosen.values())
    known = {"${datasource}": "prometheus", "${traces}": "jaeger"}
    for panel in panels(load(path)):
        assert known[panel["datasource"]["uid"]] == panel["datasource"]["type"]


def test_data_sources_lead_to_one_another() -> None:
    sources = data_sources()
    (dots,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert dots == {"name": "trace_id", "datasourceUid": "jaeger"}
    back = sources["jaeger"]["jsonData"]["tracesToMetrics"]
    assert back["datasourceUid"] in sources
    for query in back["queries"]:
        assert query["query"].count("{$$__tags}") == 1, "one $ would be an environment variable"
        names, _ = words(query["query"])
        assert names - FUNCTIONS - {"__tags"} <= EMITTED
    assert {tag["value"] for tag in back["tags"]} <= LABELS


# -- alerts ---------------------------------------------------------------------------


def test_prometheus_loads_the_alerts_and_tells_whose_a_measurement_is() -> None:
    config = load(DOCKER / "prometheus.yaml")
    assert config["rule_files"] == [ALERTS.name]
    assert config["otlp"]["promote_scope_metadata"] is True
    volumes = load(DOCKER / "compose.yaml")["services"]["prometheus"]["volumes"]
    assert f"./{ALERTS.name}:/etc/prometheus/{ALERTS.name}:ro" in volumes


def alerts() -> list[Json]:
    groups = load(ALERTS)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_what_is_wrong_and_what_to_do(alert: Json) -> None:
    assert alert["alert"].startswith("Tokenproxy")
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/dashboards.md, {alert['alert']}"
    text = (DOCKER.parent / "docs" / "dashboards.md").read_text()
    assert f"### {alert['alert']}\n" in text


def test_every_alert_is_tried_both_ways() -> None:
    fires: set[str] = set()
    rests: set[str] = set()
    for test in load(DOCKER / "alerts_test.yaml")["tests"]:
        for tried in test["alert_rule_test"]:
            (fires if tried.get("exp_alerts") else rests).add(tried["alertname"])
    names = {alert["alert"] for alert in alerts()}
    assert fires == rests == names
