"""What the variables of OTLP say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.util.re import parse_env_headers

from tokenproxy.telemetry.otlp.settings import headers_of, settings

BASE = "OTEL_EXPORTER_OTLP_"
PARTS = st.sampled_from(
    ["a=b", "A=b", " a = b ", "a=b=c", "a=%20x%2C", "a b=c", "a=b c", "a=b c%20", "=b", "a=", "a",
     "", " ", "a%20=b", 'x-y="q"', "a=b;c", "a=\N{EURO SIGN}", "(=b", "\ta=b\t", "a=b\n"]
) | st.text("ab =,%;2C\t", max_size=12)  # fmt: skip


@given(st.lists(PARTS, max_size=4))
def test_headers_are_read_as_the_sdk_does(parts: list[str]) -> None:
    said = ",".join(parts)
    assert headers_of(said) == dict(parse_env_headers(said, liberal=True))


def test_a_signals_own_variable_wins() -> None:
    env = {
        f"{BASE}ENDPOINT": "http://base:4318/x/",
        f"{BASE}TRACES_ENDPOINT": "https://traces.example/in?tenant=a",
        f"{BASE}HEADERS": "a=all",
        f"{BASE}TRACES_HEADERS": "b=traces",
        f"{BASE}TIMEOUT": "5000",
        f"{BASE}METRICS_TIMEOUT": "700",
        f"{BASE}COMPRESSION": "gzip",
        f"{BASE}TRACES_COMPRESSION": "none",
        f"{BASE}CERTIFICATE": "/all.pem",
        f"{BASE}TRACES_CLIENT_CERTIFICATE": "/client.pem",
        f"{BASE}TRACES_CLIENT_KEY": "/client.key",
    }
    traces, metrics = settings(env, "traces"), settings(env, "metrics")
    assert (traces.host, traces.port, traces.path) == ("traces.example", 443, "/in?tenant=a")
    assert (metrics.host, metrics.port, metrics.path) == ("base", 4318, "/x/v1/metrics")
    assert (traces.timeout_s, metrics.timeout_s) == (5.0, 0.7)
    assert (traces.headers.get("a"), traces.headers["b"]) == (None, "traces")
    assert metrics.headers["a"] == "all"
    assert (traces.compression, metrics.compression) == ("none", "gzip")
    assert metrics.headers["content-encoding"] == "gzip"
    assert (traces.tls, metrics.tls) == (True, False)
    assert (traces.certificate, traces.client_certificate, traces.client_key) == (
        "/all.pem",
        "/client.pem",
        "/client.key",
    )
    assert metrics.client_certificate is None


def test_what_is_not_said_is_the_usual() -> None:
    usual = settings({}, "metrics")
    assert (usual.host, usual.port, usual.path) == ("localhost", 4318, "/v1/metrics")
    assert (usual.timeout_s, usual.compression, usual.certificate) == (2.0, "none", None)
    assert usual.headers.keys() == {"user-agent", "content-type"}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_for_python_s_clients_is_trusted_too(name: str) -> None:
    env = {name: "/bundle.pem"}
    assert settings(env, "traces").certificate == "/bundle.pem"
    assert settings({**env, f"{BASE}CERTIFICATE": "/own"}, "traces").certificate == "/own"


def test_the_users_headers_win() -> None:
    env = {f"{BASE}HEADERS": "user-agent=me,authorization=Bearer x"}
    env[f"{BASE}ENDPOINT"] = "http://a:b@host:1"
    found = settings(env, "traces").headers
    assert (found["user-agent"], found["authorization"]) == ("me", "Bearer x")


def test_what_tells_of_the_body_is_ours() -> None:
    own = "content-type=application/json,content-encoding=br,content-length=1,x=y"
    env = {f"{BASE}HEADERS": f"{own},transfer-encoding=chunked", f"{BASE}COMPRESSION": "GZIP"}
    found = settings(env, "traces").headers
    assert dict(found) == {
        "user-agent": found["user-agent"],
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
        "x": "y",
    }


@pytest.mark.parametrize(
    "header", ["a=secret%0Ac:d", "na%0Ame=secret", "a%3Ab=secret", "%20=secret", "a=secret%00"]
)
def test_a_header_that_cannot_be_sent_is_said_without_it(header: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent") as raised:
        settings({f"{BASE}HEADERS": header}, "traces")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "9" * 13, "9" * 400, "9" * 5000], ids=len)
def test_what_is_no_time_is_the_usual_one(value: str) -> None:
    assert settings({f"{BASE}TIMEOUT": value}, "traces").timeout_s == 2.0
