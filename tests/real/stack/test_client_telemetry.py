"""``run --client-telemetry``: the client's spans and metrics beside ours, linked, never summed."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.bench import Bench, total, wait_until
from tests.real import needs
from tests.real.stack.accounts import await_telemetry, compare, spans_of
from tests.real.stack.jaeger import Span
from tests.real.stack.outline import Outline
from tests.real.stack.stack import ROOT, Stack
from tests.real.stack.table import Table
from tests.real.test_claude_cli import PRINT
from tests.real.test_codex_cli import EXEC, TOOL
from tests.real.test_codex_cli import KEY as CODEX_KEY
from tests.real.test_gemini_cli import KEY as GEMINI_KEY
from tests.real.test_gemini_cli import command as gemini
from tokenproxy.simulator.server import Simulator

PROMPT = "USE_SUBAGENT[true] please, and keep this to yourself"
SECRET = "keep this to yourself"


def words(routes: Mapping[str, str], command: Sequence[str], *, flag: bool = True) -> list[str]:
    named = [word for host, url in routes.items() for word in ("--route", f"{host}={url}")]
    switch = ["--client-telemetry"] if flag else []
    return ["run", "--mode", "forward", *named, "--story", "s", *switch, "--", *command]


def claude_words(sim: Simulator, claude: str, *, flag: bool = True) -> list[str]:
    return words({"api.anthropic.com": sim.url}, [claude, "-p", PROMPT, *PRINT], flag=flag)


def counted(stack: Stack, metric: str) -> int:
    """The sum of a counter over everything that has come."""
    return int(stack.prometheus.value(f"sum(sum_over_time({metric}[1h]))"))


# -- Claude Code ------------------------------------------------------------------------


def test_claude_codes_own_is_there_linked_and_counted_by_nobody(
    bench: Bench, claude: str, stack: Stack, tables: list[Table]
) -> None:
    with Simulator("agent") as sim:
        done = bench.tokenproxy(*claude_words(sim, claude), env=stack.env)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(b"\n") == 1, done.stderr  # nothing but our own line
    rows = bench.rows()
    await_telemetry(stack, rows)

    # Each call is linked to the client's own span of the same request.
    calls = [span for span in spans_of(stack, rows) if span.role == "call"]
    linked = {call.span_id: _linked(stack, call.links) for call in calls}
    assert len(linked) == len(rows) == 5
    for call in calls:
        (own,) = linked[call.span_id]
        assert (own.service, own.name) == ("claude-code", "claude_code.llm_request")
        assert own.tags["client_request_id"] == call.tags["tokenproxy.client_request.id"]
        # Ours is what the client waited for, so it lies within: the body's end came to us before
        # it went to the client. The clock is the same, but the client's counts milliseconds.
        assert own.start_us <= call.start_us + 1000
        assert own.end_us >= call.end_us - 1000
        assert not own.role
    # What the client does of itself joins our trace: its prompt is a child of the iteration.
    ours = Outline(stack.jaeger.trace(rows[0]["trace_id"]))
    joined = [span for span in ours.spans if span.name == "claude_code.interaction"]
    assert joined, ours.text()
    assert {ours.path(span)[0] for span in joined} == {"invoke_agent claude"}

    # The client's numbers are the same tokens, so neither sum has them twice.
    assert counted(stack, "claude_code_token_usage_tokens_total") == total(
        rows, "input_tokens"
    ) + total(rows, "output_tokens")
    compare(stack, rows, "with Claude Code's own telemetry beside", tables)

    # Two senders, and no series a session.
    mine = stack.prometheus.by("instance", "count by (instance) (tokenproxy_calls_total)")
    theirs = "count by (instance, job, session_id) (claude_code_token_usage_tokens_total)"
    ((labels, _),) = stack.prometheus.query(theirs).items()
    assert dict(labels)["job"] == "claude-code"
    assert "session_id" not in dict(labels)
    assert dict(labels)["instance"]
    assert dict(labels)["instance"] not in mine

    told = json.dumps([span.tags for trace in _all(stack, "claude-code") for span in trace])
    assert SECRET not in told
    assert "user_prompt" in told  # it would be there


def test_two_at_once_do_not_write_into_one_series(bench: Bench, claude: str, stack: Stack) -> None:
    with Simulator("agent") as sim:
        started = [bench.start(*claude_words(sim, claude), env=stack.env) for _ in range(3)]
        for one in started:
            _, said = one.communicate(timeout=120)
            assert one.returncode == 0, said
    rows = bench.rows()
    await_telemetry(stack, rows)
    tokens = total(rows, "input_tokens") + total(rows, "output_tokens")
    assert counted(stack, "claude_code_token_usage_tokens_total") == tokens
    assert counted(stack, "claude_code_session_count_total") == 3
    instances = stack.prometheus.by(
        "instance", "count by (instance) (claude_code_session_count_total)"
    )
    assert 1 < len(instances) <= 3


def test_without_the_flag_the_client_sends_nothing(bench: Bench, claude: str, stack: Stack) -> None:
    with Simulator("agent") as sim:
        bench.tokenproxy(*claude_words(sim, claude, flag=False), env=stack.env)
    await_telemetry(stack, bench.rows())
    assert stack.jaeger.services() == ["tokenproxy"]


# -- other clients ----------------------------------------------------------------------


def test_gemini_cli_sends_the_conventions_metrics_too(
    bench: Bench, stack: Stack, tables: list[Table]
) -> None:
    """By name they are ours; by their scope they are not."""
    command = [word.replace("please", SECRET) for word in gemini(bench)]
    env = {**stack.env, **GEMINI_KEY, "OTEL_LOGS_EXPORTER": "otlp"}
    with Simulator("agent") as sim:
        routes = {"generativelanguage.googleapis.com": f"{sim.url}/google"}
        done = bench.tokenproxy(*words(routes, command), env=env)
    assert done.returncode == 0, done.stderr
    rows = bench.rows()
    await_telemetry(stack, rows)
    compare(stack, rows, "with Gemini CLI's own telemetry beside", tables)

    metric = "gen_ai_client_token_usage_count"
    scopes = stack.prometheus.by("otel_scope_name", f"count by (otel_scope_name) ({metric})")
    assert set(scopes) == {"tokenproxy", "gemini-cli"}
    (spans,) = {name for name in stack.jaeger.services() if name != "tokenproxy"}
    assert spans == "gemini-cli"
    assert SECRET not in json.dumps([s.tags for trace in _all(stack, spans) for s in trace])


def test_gemini_cli_stays_silent_where_nobody_takes_its_logs(bench: Bench, stack: Stack) -> None:
    """It would print the collector's refusal."""
    with Simulator("agent") as sim:
        routes = {"generativelanguage.googleapis.com": f"{sim.url}/google"}
        done = bench.tokenproxy(*words(routes, gemini(bench)), env={**stack.env, **GEMINI_KEY})
    assert done.returncode == 0, done.stderr
    assert b"OTLPExporterError" not in done.stderr
    await_telemetry(stack, bench.rows())
    assert stack.jaeger.services() == ["tokenproxy"]


def test_codex_cli_needs_its_own_file_and_then_joins_our_trace(bench: Bench, stack: Stack) -> None:
    """As docs/clients.md says to write it."""
    home = bench.root / ".codex"
    home.mkdir()
    command = [str(needs.cli("codex")), *EXEC, *TOOL]
    url = stack.env["OTEL_EXPORTER_OTLP_ENDPOINT"]

    def run() -> subprocess.CompletedProcess[bytes]:
        with Simulator("websocket-refused") as sim:
            routes = {"api.openai.com": f"{sim.url}/openai", "chatgpt.com": f"{sim.url}/openai"}
            return bench.tokenproxy(*words(routes, command), env={**stack.env, **CODEX_KEY})

    done = run()
    assert done.returncode == 0, done.stderr
    await_telemetry(stack, bench.rows())
    assert stack.jaeger.services() == ["tokenproxy"]

    (home / "config.toml").write_text(_documented().replace("http://127.0.0.1:4318", url))
    done = run()
    assert done.returncode == 0, done.stderr
    rows = bench.rows()
    await_telemetry(stack, rows)
    second = [row for row in rows if row["run_id"] == rows[-1]["run_id"]]
    wait_until(lambda: "codex_exec" in stack.jaeger.services(), 30, "nothing of Codex has come")
    spans = stack.jaeger.trace(second[0]["trace_id"])
    assert {span.service for span in spans} == {"tokenproxy", "codex_exec"}
    linked = [call for call in spans if call.role == "call" and call.links]
    assert linked
    for call in linked:
        assert {trace for trace, _ in call.links} == {call.trace_id}


def _documented() -> str:
    """The ``config.toml`` of docs/clients.md."""
    docs = (ROOT / "docs" / "clients.md").read_text()
    (found,) = re.findall(r"```toml\n(\s*\[otel\].*?)```", docs, re.DOTALL)
    return textwrap.dedent(str(found))


# -- dashboards -------------------------------------------------------------------------

DASHBOARDS = sorted((ROOT / "docker" / "dashboards").glob("*.json"))
SHARED = re.compile(r"\bgen_ai_\w+_(?:bucket|sum|count|total)\b(\{[^}]*\})?")
"""A metric that clients have too, as a query names it."""
OTHERS = re.compile(r"\b(?:claude_code|gemini_cli|codex)_\w+")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_no_dashboard_asks_for_a_clients_own(path: Path) -> None:
    asked = [str(expr) for expr in _expressions(json.loads(path.read_text()))]
    assert asked
    for expr in asked:
        assert not OTHERS.search(expr), expr
        for selector in SHARED.findall(expr):
            assert 'otel_scope_name="tokenproxy"' in selector, expr


def _expressions(node: object) -> list[object]:
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [found for value in node.values() for found in _expressions(value)]
    if isinstance(node, list):
        return [found for value in node for found in _expressions(value)]
    return []


def _linked(stack: Stack, links: tuple[tuple[str, str], ...]) -> list[Span]:
    """The spans at the other ends, once all have come."""

    def found() -> list[Span]:
        return [
            span
            for trace_id, span_id in links
            for span in stack.jaeger.trace(trace_id)
            if span.span_id == span_id
        ]

    wait_until(lambda: len(found()) == len(links), 30, "a link leads to nowhere")
    return found()


def _all(stack: Stack, service: str) -> list[list[Span]]:
    return list(stack.jaeger.search(service).values())
