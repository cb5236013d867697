"""Whether the environment asks for no more than is done here; the rest is the SDK's.

What is done here: OTLP over HTTP with protobuf to one collector a signal, directly; the
specification's samplers; default limits; explicit buckets; exemplars of sampled spans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tokenproxy import no_proxy
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.otlp.batch import limits
from tokenproxy.telemetry.otlp.sampler import sampler
from tokenproxy.telemetry.switch import Signal

_SDKS_OWN: Final = re.compile(
    r"OTEL_(SPAN_|EVENT_|LINK_)?ATTRIBUTE_(COUNT|VALUE_LENGTH)_LIMIT"
    r"|OTEL_SPAN_(EVENT|LINK)_COUNT_LIMIT"
    r"|OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
    r"|OTEL_PYTHON_EXPORTER_OTLP_HTTP_(TRACES_|METRICS_)?CREDENTIAL_PROVIDER"
    r"|OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
)
"""Variables that are the SDK's, whatever they hold."""
_USUAL: Final = {
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": ("explicit_bucket_histogram",),
    "OTEL_METRICS_EXEMPLAR_FILTER": ("trace_based",),
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("none", "gzip", "deflate"),
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": ("none", "gzip", "deflate"),
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": ("none", "gzip", "deflate"),
}
"""Values that are followed here, beside none."""
_PLAIN_URL: Final = re.compile(r"https?://[\x21-\x7e]+", re.IGNORECASE)


def fits(env: Mapping[str, str]) -> bool:
    """Whether it does, for every signal that is on."""
    if any(_SDKS_OWN.fullmatch(name) for name, value in env.items() if value.strip()):
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
    endpoint = switch.endpoint(env, signal)
    if _PLAIN_URL.fullmatch(endpoint) is None or "#" in endpoint:
        return False
    parts = switch.split(endpoint)
    host = parts.hostname or ""
    try:
        port_fits = parts.port != 0
    except ValueError:
        return False
    return port_fits and bool(host) and not _proxied(env, parts.scheme, host)


def _proxied(env: Mapping[str, str], scheme: str, host: str) -> bool:
    """Whether the user's proxy is the way to the collector, as HTTP clients read the variables."""
    names = (f"{scheme.lower()}_proxy", "all_proxy")
    if not any(env.get(name) or env.get(name.upper()) for name in names):
        return False
    return not any(no_proxy.hides(entry, host) for entry in no_proxy.entries(env))


def _word(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip().lower()
