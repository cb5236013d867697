"""OTLP by hand, for what no sender of ours would send: measurements of other times."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

NAME = "by_hand"
"""The counter that is sent."""

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send(base: str, *times: float) -> int:
    """Send a delta of 1 for each of the Unix times, in one request; the answer's status.

    Args:
        base: An OTLP endpoint.
        times: When.
    """
    points = [
        {"asInt": "1", "startTimeUnixNano": at, "timeUnixNano": at}
        for at in (str(int(when * 1e9)) for when in times)
    ]
    counter = {"dataPoints": points, "aggregationTemporality": 1, "isMonotonic": True}
    metrics = [{"name": NAME, "sum": counter}]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    request = urllib.request.Request(  # noqa: S310 - an http URL of ours
        f"{base}/v1/metrics",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with _OPENER.open(request, timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
