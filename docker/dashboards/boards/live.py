"""What goes on now, and whether what is measured arrives."""

from __future__ import annotations

from boards.panels import (
    LINES,
    MODELS,
    PROVIDERS,
    SERVICE,
    STORIES,
    Json,
    board,
    chart,
    heading,
    instant,
    panel,
    ranged,
    stat,
    trace_list,
)
from boards.promql import (
    BILLED,
    CALL,
    CALLS,
    COST,
    FAILED,
    ITERATIONS,
    KIND,
    LOOP,
    OUTCOME,
    TOKENS,
    dollars,
    first_chunk,
    latency,
    none_is_zero,
    total,
)

_MINUTE = "[1m]"
_STEP = "5s"
_WHOLE: Json = {"min": 0, "max": 1}
_SENT = "What is sent comes every minute and at a run's end (OTEL_METRIC_EXPORT_INTERVAL)."

_NOW = [
    stat(
        "Tokens a second",
        f"Over the last minute. {_SENT}",
        none_is_zero(f"{total(CALL(TOKENS), _MINUTE)} / 60"),
        unit="short",
        decimals=1,
    ),
    stat(
        "Calls a minute",
        "Calls that ended in the last minute. How many are in flight is not known: a call is "
        "measured when it ends.",
        none_is_zero(total(CALL(CALLS), _MINUTE)),
        decimals=0,
    ),
    stat(
        "Spend an hour",
        "At the pace of the last five minutes.",
        none_is_zero(f"{dollars(CALL(COST), '[5m]')} * 12"),
        unit="currencyUSD",
        decimals=2,
    ),
    stat(
        "Failed calls",
        "In the last five minutes.",
        none_is_zero(total(CALL(CALLS, FAILED), "[5m]")),
        decimals=0,
        bad_from=1,
    ),
    stat(
        "Iterations ended",
        "In the last five minutes.",
        none_is_zero(total(LOOP(ITERATIONS), "[5m]")),
        decimals=0,
    ),
    stat(
        "Alerts",
        "Rules of docker/alerts.yaml that are firing.",
        none_is_zero('count(ALERTS{alertname=~"Tokenproxy.*", alertstate="firing"})'),
        decimals=0,
        bad_from=1,
    ),
]

_CHARTS = [
    chart(
        "Tokens a second",
        f"Over the minute before each point, by kind. {_SENT}",
        ranged(f"{total(CALL(TOKENS), _MINUTE, by=KIND)} / 60", f"{{{{{KIND}}}}}"),
        unit="short",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Calls a minute",
        "In the minute before each point, by outcome.",
        ranged(total(CALL(CALLS), _MINUTE, by=OUTCOME), f"{{{{{OUTCOME}}}}}"),
        unit="none",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Spend an hour",
        "At the pace of the five minutes before each point, by the model that was billed.",
        ranged(f"{dollars(CALL(COST), '[5m]', by=BILLED)} * 12", f"{{{{{BILLED}}}}}"),
        unit="currencyUSD",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Errors a minute",
        "Failed calls in the minute before each point, by type of error.",
        ranged(total(CALL(CALLS, FAILED), _MINUTE, by="error_type"), "{{error_type}}"),
        unit="none",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Duration of calls",
        "Of the five minutes before each point. The dots are single calls: they lead to the trace.",
        ranged(latency(0.5, "[5m]"), "median", exemplars=True),
        ranged(latency(0.9, "[5m]"), "90 %"),
        unit="s",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Time to first content",
        "Of streams, of the five minutes before each point.",
        ranged(first_chunk(0.5, "[5m]"), "median", exemplars=True),
        ranged(first_chunk(0.9, "[5m]"), "90 %"),
        unit="s",
        custom=LINES,
        interval=_STEP,
    ),
]

_TRACES = [
    trace_list(
        "Latest traces",
        "Runs, and the turns of `tokenproxy serve`. A trace is whole when its run has ended.",
        "",
    ),
    trace_list(
        "Latest traces with an error",
        "A provider refused or failed a call in it.",
        "tokenproxy.span.role=call tokenproxy.outcome=error",
    ),
]


def _queue(share: str) -> Json:
    """The collector's queue, full at 1."""
    return panel(
        "bargauge",
        "Queue",
        "How full the collector's queue to each backend is. What comes when it is full is lost.",
        instant(share, "{{exporter}}"),
        unit="percentunit",
        size=(6, 8),
        defaults={
            **_WHOLE,
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": "green", "value": None}, {"color": "red", "value": 0.5}],
            },
        },
        options={
            "displayMode": "gradient",
            "orientation": "horizontal",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    )


def _counted(what: str, verb: str) -> str:
    """Spans or points a second that the collector says it has ``verb``."""
    return f"sum (rate(otelcol_{verb}_{what}_total[1m]))"


_LOST = " + ".join(
    f"(sum (increase(otelcol_{counter}_total[5m])) or vector(0))"
    for counter in (
        "exporter_send_failed_spans",
        "exporter_send_failed_metric_points",
        "exporter_enqueue_failed_spans",
        "exporter_enqueue_failed_metric_points",
        "receiver_refused_spans",
        "receiver_refused_metric_points",
    )
)

_COLLECTOR = [
    _queue("max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)"),
    chart(
        "Waiting",
        "Requests in the collector's queue to each backend. A queue that never empties says "
        "that its backend is away.",
        ranged("max by (exporter) (otelcol_exporter_queue_size)", "{{exporter}}"),
        unit="none",
        custom=LINES,
        size=(9, 8),
        interval=_STEP,
    ),
    chart(
        "In and out",
        "Spans and points of measurements a second that the collector took and passed on. The "
        "collector's own running totals: here, and only here, a rate is right.",
        ranged(_counted("spans", "receiver_accepted"), "spans in"),
        ranged(_counted("spans", "exporter_sent"), "spans out"),
        ranged(_counted("metric_points", "receiver_accepted"), "points in"),
        ranged(_counted("metric_points", "exporter_sent"), "points out"),
        unit="cps",
        custom=LINES,
        size=(9, 8),
        interval=_STEP,
    ),
    chart(
        "Refused or lost",
        "Spans and points in the five minutes before each point that the collector refused, had "
        "no room for or could not deliver. Senders try again what was refused.",
        ranged(_LOST, "spans and points"),
        unit="none",
        custom=LINES,
        interval=_STEP,
    ),
    chart(
        "Memory of the collector",
        "Of the whole process.",
        ranged("max by (instance) (otelcol_process_memory_rss_bytes)", "{{instance}}"),
        unit="bytes",
        custom=LINES,
        interval=_STEP,
    ),
]

BOARD = board(
    "live",
    "The last quarter of an hour, and the health of the collector.",
    [*_NOW, *_CHARTS, heading("Traces"), *_TRACES, heading("Collector"), *_COLLECTOR],
    variables=[PROVIDERS, MODELS, STORIES, SERVICE],
    since="15m",
    refresh="5s",
)
