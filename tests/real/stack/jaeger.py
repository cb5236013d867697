"""Jaeger's HTTP API, as its own pages ask it."""

from __future__ import annotations

import json
import time
import urllib.error
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.real.stack.service import get


@dataclass(frozen=True)
class Span:
    """A span as Jaeger shows it; times in microseconds."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    service: str
    start_us: int
    duration_us: int
    tags: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """(trace id, span id) of spans that are linked but not parents."""
    events: tuple[dict[str, Any], ...]

    @property
    def end_us(self) -> int:
        return self.start_us + self.duration_us

    @property
    def role(self) -> str:
        """``tokenproxy.span.role``; empty for spans that are not ours."""
        return str(self.tags.get("tokenproxy.span.role", ""))


class Jaeger:
    """A running Jaeger."""

    def __init__(self, url: str) -> None:
        """Of the server at ``url``, without a slash at its end."""
        self.url = url

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace in the order of their starts; none if it is not known."""
        try:
            data = self._data(f"traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return [span for trace in data for span in _spans(trace)]

    def search(
        self, service: str = "tokenproxy", *, operation: str = "", limit: int = 1000, **tags: str
    ) -> dict[str, list[Span]]:
        """Traces of the last hour: trace id -> its spans.

        Args:
            service: Whose spans.
            operation: A span's name; any by default.
            limit: Traces at most.
            tags: What one span must have; a dot of a tag's name is ``__`` here.
        """
        now = int(time.time() * 1e6)
        asked = {
            "service": service,
            "limit": limit,
            "start": now - 3_600_000_000,
            "end": now + 60_000_000,
            "tags": json.dumps({name.replace("__", "."): value for name, value in tags.items()}),
        }
        if operation:
            asked["operation"] = operation
        return {trace["traceID"]: _spans(trace) for trace in self._data("traces", **asked)}

    def services(self) -> list[str]:
        """Names of the services that have sent spans."""
        return sorted(self._data("services"))

    def _data(self, path: str, **parameters: object) -> Any:
        asked = f"?{urlencode(parameters)}" if parameters else ""
        return json.loads(get(f"{self.url}/api/{path}{asked}"))["data"] or []


def _spans(trace: dict[str, Any]) -> list[Span]:
    services = {name: process["serviceName"] for name, process in trace["processes"].items()}
    spans = [_span(span, services[span["processID"]]) for span in trace["spans"]]
    return sorted(spans, key=lambda span: span.start_us)


def _span(span: dict[str, Any], service: str) -> Span:
    references = span["references"]
    parents = [r["spanID"] for r in references if r["refType"] == "CHILD_OF"]
    return Span(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else None,
        name=span["operationName"],
        service=service,
        start_us=span["startTime"],
        duration_us=span["duration"],
        tags={tag["key"]: tag["value"] for tag in span["tags"]},
        links=tuple(
            (r["traceID"], r["spanID"]) for r in references if r["refType"] == "FOLLOWS_FROM"
        ),
        events=tuple(
            {field["key"]: field["value"] for field in log["fields"]} for log in span["logs"]
        ),
    )
