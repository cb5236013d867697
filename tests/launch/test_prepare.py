from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tokenproxy.config import Admission
from tokenproxy.ids import iteration_span_id
from tokenproxy.launch.authority import Authority
from tokenproxy.launch.errors import CannotRunError, UsageError
from tokenproxy.launch.options import RunOptions
from tokenproxy.launch.prepare import (
    Prepared,
    identify,
    prepare,
    proxy_config,
    telemetry_hosts,
)

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-00"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "a-project"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("TOKENPROXY_STATE_DIR", str(tmp_path / "state"))
    return place


def prepared(env: dict[str, str] | None = None, **options: Any) -> Prepared:
    surroundings = {"PATH": os.defpath, "TOKENPROXY_STATE_DIR": os.environ["TOKENPROXY_STATE_DIR"]}
    return prepare(RunOptions(command=("sh",), **options), {**surroundings, **(env or {})})


def test_the_ledger_is_the_loops_the_named_or_the_users(here: Path) -> None:
    assert prepared().ledger == here.parent / "state" / "provider_usage.jsonl"
    assert prepared().named_ledger is None
    assert prepared({"TOKENPROXY_LEDGER": "env.jsonl"}).ledger == here / "env.jsonl"
    named = prepared({"TOKENPROXY_LEDGER": "env.jsonl"}, ledger="flag.jsonl")
    assert named.ledger == here / "flag.jsonl"
    assert named.named_ledger == str(here / "flag.jsonl")
    (here / ".claude-loop").mkdir()
    assert prepared().ledger == here / ".claude-loop" / "logs" / "provider_usage.jsonl"


def test_the_command_comes_first(here: Path) -> None:
    """Before a directory is made for a ledger that nobody will use."""
    options = RunOptions(command=("no-such-command",), ledger=str(here / "logs" / "l.jsonl"))
    with pytest.raises(CannotRunError, match="command not found"):
        prepare(options, {"PATH": os.defpath})
    assert list(here.iterdir()) == []


def test_a_state_directory_that_cannot_be(here: Path) -> None:
    (here / "file").touch()
    with pytest.raises(UsageError, match=r"no directory for state: .*TOKENPROXY_STATE_DIR"):
        prepared({"TOKENPROXY_STATE_DIR": str(here / "file" / "below")})


def test_a_ledger_whose_path_is_no_text(here: Path) -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        prepared(ledger=str(here / os.fsdecode(b"\xff.jsonl")))


def test_identity(here: Path) -> None:
    given = prepared(
        {"TRACEPARENT": TRACEPARENT, "TRACESTATE": "a=1"},
        story_id=os.fsdecode(b"S\xff"),
        complexity=3,
        labels={"k": "v"},
    )
    run = identify(given)
    assert (run.trace_id, run.parent_span_id, run.trace_flags) == ("a" * 32, "b" * 16, 0)
    assert run.tracestate == "a=1"
    assert run.span_id not in ("b" * 16, "")
    assert (run.story_id, run.complexity, run.labels) == ("S\ufffd", 3, {"k": "v"})
    assert (run.project, run.agent) == (here.name, "sh")
    other = identify(prepared(story_id="T"))
    assert other.parent_span_id is None
    assert other.trace_flags == 1
    assert other.run_id != run.run_id
    # Whoever has a row can tell the run's span.
    assert run.span_id == iteration_span_id(run.trace_id, run.run_id)
    assert run.span_id != identify(given).span_id


def test_iterations_count_up_unless_given(here: Path) -> None:
    assert here.exists()
    numbers = [identify(prepared(story_id="S")).iteration for _ in range(2)]
    assert numbers[1] == numbers[0] + 1
    assert identify(prepared(story_id="S", iteration=70)).iteration == 70
    assert identify(prepared(story_id="S")).iteration == 71


def test_the_proxys_orders(here: Path) -> None:
    env = {
        "HTTPS_PROXY": "http://corp:3128",
        "NO_PROXY": f"x.example,{os.fsdecode(bytes([255]))}",
        "ANTHROPIC_BASE_URL": "https://gateway.example",
    }
    given = prepared(env, mode="forward", routes={"h.example": "http://127.0.0.1:1"})
    run = identify(given)
    asked = Admission(secret="s")
    config = proxy_config(
        given, run, Authority("cert", "key"), run_dir=here, listen_fd=5, admission=asked
    )
    assert config.admission == asked
    assert config.run == run
    assert (config.ledger, config.run_dir, config.listen_fd) == (str(given.ledger), str(here), 5)
    assert {"api.anthropic.com", "gateway.example", "h.example"} <= set(config.intercept_hosts)
    assert config.gateway_hosts == {"gateway.example": "anthropic"}
    assert config.upstreams == {"anthropic": "https://gateway.example"}
    assert config.routes == {"h.example": "http://127.0.0.1:1"}
    assert (config.upstream_proxy, config.no_proxy) == ("http://corp:3128", ("x.example", "\ufffd"))
    assert (config.ca_cert_pem, config.ca_key_pem) == ("cert", "key")
    reverse = proxy_config(given, run, None, run_dir=here, listen_fd=5, admission=asked)
    assert reverse.ca_key_pem is None


def test_telemetry_goes_directly_unless_the_user_has_a_proxy() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example:4318"}
    assert telemetry_hosts(env) == ("otel.example",)
    assert telemetry_hosts({**env, "HTTPS_PROXY": "http://corp:3128"}) == ()
    assert telemetry_hosts({}) == ()


def test_prices_that_cannot_be_used_are_refused_before_anything_runs(here: Path) -> None:
    config = here / "config.toml"
    config.write_text('[[prices]]\nmodel = "m"\ninptu_mtok = 1\n')
    with pytest.raises(UsageError, match=r'config\.toml, line 3: "inptu_mtok" is no key') as caught:
        prepared({"TOKENPROXY_CONFIG": str(config)})
    assert caught.value.status == 2
    config.write_text('[[prices]]\nmodel = "m"\ninput_mtok = 1\noutput_mtok = 1\n')
    prepared({"TOKENPROXY_CONFIG": str(config)})
    with pytest.raises(UsageError, match=r"gone\.toml cannot be read"):
        prepared({"TOKENPROXY_CONFIG": str(here / "gone.toml")})
