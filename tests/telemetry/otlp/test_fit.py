"""What is left to the SDK."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.otlp.fit import fits
from tokenproxy.telemetry.otlp.settings import settings

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
BUCKETS = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},  # said, and http/protobuf used instead
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "otlp,zipkin"},
        {"OTEL_METRICS_EXPORTER": "otlp"},
        {BUCKETS: "Explicit_Bucket_Histogram"},
        {"OTEL_METRICS_EXEMPLAR_FILTER": "trace_based"},
        {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BSP_MAX_QUEUE_SIZE": "4096"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP"},
        {"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "zstd"},  # said, and none used instead
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},  # said, and nothing sent
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "HTTPS://user:word@collector.example/path/"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"},
        {"https_proxy": "http://proxy:3128"},  # of another scheme
        {"http_proxy": "http://proxy:3128", "no_proxy": "127.0.0.1"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"},
    ],
    ids=str,
)
def test_the_everyday_case_is_ours(more: dict[str, str]) -> None:
    assert fits(BASE | more)


@pytest.mark.parametrize(
    "more",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
        {"OTEL_TRACES_EXPORTER": "console"},
        {"OTEL_METRICS_EXPORTER": "otlp,console"},
        {BUCKETS: "base2_exponential_bucket_histogram"},
        {"OTEL_METRICS_EXEMPLAR_FILTER": "always_on"},
        {"OTEL_METRICS_EXEMPLAR_FILTER": "always_off"},
        {"OTEL_BSP_SCHEDULE_DELAY": "soon"},
        {"OTEL_BSP_SCHEDULE_DELAY": "0"},
        {"OTEL_BSP_SCHEDULE_DELAY": "-1"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},  # less than a batch
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1" * 30},
        {"OTEL_TRACES_SAMPLER": "xray"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "5"},
        {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "5"},
        {"OTEL_SPAN_LINK_COUNT_LIMIT": "5"},
        {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process"},
        {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "gcp"},
        {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a/v1/traces#part"},
        {"http_proxy": "http://proxy:3128"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "other.example"},
        {"all_proxy": "socks5://proxy:1080"},
    ],
    ids=str,
)
def test_the_rest_is_the_sdks(more: dict[str, str]) -> None:
    assert not fits(BASE | more)


PIECES = st.sampled_from(
    ["http", "HTTPS", "unix", "://", ":", "/", "//", "[", "]", "::1", "@", "host", "1", "99999",
     "?", "#", "%", "%00", " ", "\n", "\N{EURO SIGN}", "\udcff", "*", "."]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join), st.lists(PIECES, max_size=4).map("".join))
def test_any_endpoint_is_judged_and_what_fits_can_be_sent_to(endpoint: str, other: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "http_proxy": other, "no_proxy": other}
    if fits(env):
        for signal in switch.SIGNALS:
            if not switch.choose(env, signal).exporters:
                continue
            found = settings(env, signal)
            assert found.host
            assert 0 < found.port < 65536
            assert found.path.startswith("/")
