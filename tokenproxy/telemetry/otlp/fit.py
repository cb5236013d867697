"""Whether the environment asks for no more than is done here; the rest is the SDK's.

What is done here: OTLP over HTTP with protobuf to one collector a signal, directly; the
specification's samplers; default limits; explicit buckets; exemplars of sampled spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokenproxy import no_proxy
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.otlp.batch import limits
from tokenproxy.telemetry.otlp.sampler import sampler
from tokenproxy.telemetry.switch import Signal

_SDKS_OWN: Final = frozenset(
    (
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_METRICS_CREDENTIAL_PROVIDER",
        "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    )
)
"""Variables that are the SDK's, whatever they hold."""
_USUAL: Final = {
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": ("explicit_bucket_histogram",),
    "OTEL_METRICS_EXEMPLAR_FILTER": ("trace_based",),
}
"""Values that are followed here, beside none."""


def fits(env: Mapping[str, str]) -> bool:
    """Whether it does, for every signal that is on."""
    if any(_word(env, name) for name in _SDKS_OWN):
        return False
    for name, values in _USUAL.items():
        if _word(env, name) not in ("", *values):
            return False
    if limits(env) is None or sampler(env) is None:
        return False
    return all(_fits(env, signal) for signal in switch.SIGNALS)


def measures_fit(env: Mapping[str, str]) -> bool:
    """Whether measurements can be added up here, whichever way they leave."""
    names = tuple(_USUAL)[:2]
    return all(_word(env, name) in ("", *_USUAL[name]) for name in names)


def _fits(env: Mapping[str, str], signal: Signal) -> bool:
    chosen = switch.choose(env, signal).exporters
    if not chosen:
        return True
    if chosen != ("otlp",) or switch.protocol(env, signal)[0] != "http/protobuf":
        return False
    return reachable(env, signal)


def reachable(env: Mapping[str, str], signal: Signal) -> bool:
    """Whether the endpoint is a plain URL, and nothing stands between."""
    endpoint = switch.endpoint(env, signal)
    parts = switch.split(endpoint)
    host, plain = parts.hostname, endpoint.isascii() and endpoint.isprintable()
    if not host or not plain or " " in endpoint or parts.fragment:
        return False
    try:
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and port != 0 and not _proxied(env, parts.scheme, host)


def _proxied(env: Mapping[str, str], scheme: str, host: str) -> bool:
    """Whether the user's proxy is the way to the collector, as HTTP clients read the variables."""
    names = (f"{scheme}_proxy", "all_proxy")
    if not any(env.get(name) or env.get(name.upper()) for name in names):
        return False
    return not any(no_proxy.hides(entry, host) for entry in no_proxy.entries(env))


def _word(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip().lower()
