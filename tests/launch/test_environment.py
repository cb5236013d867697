from __future__ import annotations

from typing import Any

from tokenproxy.config import RunContext
from tokenproxy.launch import environment
from tokenproxy.launch.plan import make_plan

RUN = RunContext(run_id="the-run", trace_id="1" * 32, span_id="2" * 16, started_ns=0)


def child_environment(env: dict[str, str], mode: Any = "auto", **given: Any) -> dict[str, str]:
    plan = make_plan(mode, env, given.pop("routes", {}))
    given = {"port": 4711, "trust": {"SSL_CERT_FILE": "/run/bundle.pem"}, **given}
    return environment.for_child(env, plan, RUN, **given)


def test_forward() -> None:
    env = {"A": "b", "HTTP_PROXY": "http://corp:3128", "HTTPS_PROXY": "http://corp:3128"}
    made = child_environment(env, direct_hosts=["otel.example"])
    assert made["HTTPS_PROXY"] == made["https_proxy"] == "http://127.0.0.1:4711"
    assert made["HTTP_PROXY"] == "http://corp:3128"
    assert "http_proxy" not in made
    assert made["NO_PROXY"] == made["no_proxy"] == "localhost,127.0.0.1,otel.example"
    assert made["SSL_CERT_FILE"] == "/run/bundle.pem"
    assert made["A"] == "b"
    assert "ANTHROPIC_BASE_URL" not in made
    assert "NODE_USE_ENV_PROXY" not in made
    assert env["HTTPS_PROXY"] == "http://corp:3128"


def test_an_exception_that_would_hide_calls_is_not_the_commands() -> None:
    made = child_environment({"NO_PROXY": "corp.example,.anthropic.com"})
    assert made["NO_PROXY"] == "corp.example,localhost,127.0.0.1"


def test_reverse() -> None:
    env = {"ANTHROPIC_BASE_URL": "http://gateway", "HTTPS_PROXY": "http://corp:3128"}
    made = child_environment(env, "reverse")
    assert made["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4711/anthropic"
    assert made["OPENAI_BASE_URL"] == "http://127.0.0.1:4711/openai/v1"
    assert made["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:4711/google"
    assert made["OLLAMA_HOST"] == "http://127.0.0.1:4711/ollama"
    assert "AZURE_OPENAI_ENDPOINT" not in made
    assert "ANTHROPIC_BEDROCK_BASE_URL" not in made
    assert made["HTTPS_PROXY"] == "http://corp:3128"
    assert "SSL_CERT_FILE" not in made
    assert "127.0.0.1" in made["NO_PROXY"].split(",")


def test_a_gateway_is_left_to_the_variable_that_names_it() -> None:
    made = child_environment({"ANTHROPIC_BASE_URL": "http://gateway"})
    assert made["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4711/anthropic"
    assert made["HTTPS_PROXY"] == "http://127.0.0.1:4711"
    assert "OPENAI_BASE_URL" not in made


def test_a_gateways_login_stays_in_its_url() -> None:
    made = child_environment({"ANTHROPIC_BASE_URL": "https://me:pa%40ss@gateway/llm"})
    assert made["ANTHROPIC_BASE_URL"] == "http://me:pa%40ss@127.0.0.1:4711/anthropic"


def test_the_trace_goes_on_in_the_command() -> None:
    made = child_environment({"TRACEPARENT": "broken", "TRACESTATE": "a=1"})
    assert made["TRACEPARENT"] == f"00-{'1' * 32}-{'2' * 16}-01"
    assert "TRACESTATE" not in made
    assert made["TOKENPROXY_RUN_ID"] == "the-run"
