"""What a person finds in Jaeger after the real Claude CLI has worked, failed or been stopped."""

from __future__ import annotations

import json
import signal

from tests.e2e.bench import Bench, child_of, wait_until
from tests.real.stack.accounts import await_telemetry
from tests.real.stack.jaeger import Span
from tests.real.stack.outline import Outline, is_red
from tests.real.stack.service import get
from tests.real.stack.stack import Stack
from tests.real.test_claude_cli import PRINT
from tokenproxy import __version__
from tokenproxy.simulator.server import Simulator

STORY = "S-7"
SUBAGENT = "USE_SUBAGENT[{}] please"
CLOCKS_US = 1
"""Jaeger counts whole microseconds, so starts and durations are rounded apart."""


def words(sim: Simulator, *command: str) -> list[str]:
    route = ("--route", f"api.anthropic.com={sim.url}")
    return ["run", "--mode", "forward", *route, "--story", STORY, "--", *command]


def read(stack: Stack, bench: Bench) -> Outline:
    """The trace of the bench's one run, once its root has come, which is sent last."""
    rows = bench.rows()
    (trace_id,) = {row["trace_id"] for row in rows}
    await_telemetry(stack, rows)
    wait_until(lambda: Outline(stack.jaeger.trace(trace_id)).role("iteration"), 30, "no iteration")
    return Outline(stack.jaeger.trace(trace_id))


def run(bench: Bench, stack: Stack, scenario: str, claude: str, prompt: str) -> int:
    """The CLI's exit status."""
    with Simulator(scenario) as sim:
        return bench.tokenproxy(*words(sim, claude, "-p", prompt, *PRINT), env=stack.env).returncode


def test_a_subagent_and_its_tools(bench: Bench, claude: str, stack: Stack) -> None:
    assert run(bench, stack, "agent", claude, SUBAGENT.format("sleep 1")) == 0
    outline = read(stack, bench)
    assert sorted(outline.path(span) for span in outline.spans) == sorted(
        [
            (root := ("invoke_agent claude",)),
            (turn := (*root, "invoke_agent claude-cli")),
            (*turn, "chat claude-opus-5-5"),
            (*turn, "execute_tool Agent"),
            (agent := (*turn, "invoke_agent general-purpose")),
            (*agent, "chat claude-opus-5-5"),
            (*agent, "execute_tool Bash"),
            (*agent, "chat claude-opus-5-5"),
            (*turn, "chat claude-opus-5-5"),
            turn,  # the CLI's own: the subagent is done
            (*turn, "chat claude-opus-5-5"),
        ]
    ), outline.text()
    assert not [span for span in outline.spans if is_red(span)]

    assert_times_add_up(outline)
    (subagent,) = outline.role("agent")
    first, tool, last = outline.below(subagent)
    assert tool.name == "execute_tool Bash"
    assert tool.duration_us >= 1_000_000
    assert first.start_us == subagent.start_us
    # It may be started while the answer that asks for it still streams.
    assert first.start_us <= tool.start_us <= first.end_us + CLOCKS_US
    assert tool.end_us <= last.start_us + CLOCKS_US
    assert abs(last.end_us - subagent.end_us) <= CLOCKS_US
    # What is left is the client between its tool's end and its next request.
    own = subagent.duration_us - sum(span.duration_us for span in (first, tool, last))
    overlap = max(first.end_us - tool.start_us, 0)
    assert abs(own - (last.start_us - tool.end_us) + overlap) <= 3 * CLOCKS_US

    for span in outline.spans:
        assert_readable(span)
    assert_found_by_what_one_knows(stack, outline)


def assert_times_add_up(outline: Outline) -> None:
    for span in outline.spans:
        above = outline.parent(span)
        if above is not None:
            assert above.start_us - CLOCKS_US <= span.start_us, outline.text()
            assert span.end_us <= above.end_us + CLOCKS_US, outline.text()
    for group in (*outline.role("turn"), *outline.role("agent")):
        below = outline.below(group)
        assert abs(group.start_us - min(span.start_us for span in below)) <= CLOCKS_US
        assert abs(group.end_us - max(span.end_us for span in below)) <= CLOCKS_US


def assert_readable(span: Span) -> None:
    assert len(span.name) <= 60
    assert len(span.tags) <= 60
    for name, value in span.tags.items():
        assert len(str(value)) <= 200, name
    assert span.tags["tokenproxy.story.id"] == STORY
    assert span.tags["tokenproxy.project"] == "work"


def assert_found_by_what_one_knows(stack: Stack, outline: Outline) -> None:
    """By story, model, session, tool or command, in the search box; and not by another story."""
    (root,) = outline.role("iteration")
    call = outline.role("call")[0]
    session = call.tags["gen_ai.conversation.id"]
    found = {root.trace_id}
    assert set(stack.jaeger.search(tokenproxy__story__id=STORY)) == found
    assert set(stack.jaeger.search(gen_ai__request__model="claude-opus-5-5")) == found
    assert set(stack.jaeger.search(gen_ai__conversation__id=session)) == found
    assert set(stack.jaeger.search(operation="execute_tool Bash")) == found
    assert set(stack.jaeger.search(operation="invoke_agent claude")) == found
    assert not stack.jaeger.search(tokenproxy__story__id="S-8")
    assert not stack.jaeger.search(tokenproxy__outcome="error")


def test_a_retry_is_red_where_it_failed_and_nowhere_above(
    bench: Bench, claude: str, stack: Stack
) -> None:
    assert run(bench, stack, "overloaded", claude, "hello") == 0
    outline = read(stack, bench)
    assert outline.names() == [
        "invoke_agent claude",
        "  invoke_agent claude-cli",
        "    chat claude-opus-5-5 !",
        "    chat claude-opus-5-5",
    ]
    failed, served = outline.role("call")
    assert failed.tags["error.type"] == "overloaded_error"
    assert failed.tags["http.response.status_code"] == 529
    assert served.links == ((failed.trace_id, failed.span_id),)
    assert served.tags["http.request.resend_count"] >= 1
    assert served.start_us > failed.end_us
    assert_times_add_up(outline)
    # Not by error=true: the store in memory of Jaeger 2.13 takes the word for no truth value.
    for found in (
        stack.jaeger.search(error__type="overloaded_error"),
        stack.jaeger.search(tokenproxy__outcome="error"),
    ):
        assert set(found) == {failed.trace_id}


def test_a_tool_that_fails_is_red_alone(bench: Bench, claude: str, stack: Stack) -> None:
    assert run(bench, stack, "agent", claude, SUBAGENT.format("false")) == 0
    outline = read(stack, bench)
    red = [span for span in outline.spans if is_red(span)]
    assert [span.name for span in red] == ["execute_tool Bash"], outline.text()
    assert red[0].tags["error.type"] == "tool_error"


def test_a_command_that_fails_is_red_and_says_its_status(
    bench: Bench, claude: str, stack: Stack
) -> None:
    assert run(bench, stack, "html-413", claude, "hello") == 1
    outline = read(stack, bench)
    assert outline.names() == [
        "invoke_agent claude !",
        "  invoke_agent claude-cli",
        "    chat claude-opus-5-5 !",
    ]
    (root,) = outline.role("iteration")
    assert root.tags["tokenproxy.exit_status"] == 1
    assert root.tags["otel.status_description"] == "exit status 1"
    (call,) = outline.role("call")
    assert call.tags["error.type"] == "request_too_large"


def test_a_run_that_is_killed_in_the_middle_of_an_answer(
    bench: Bench, claude: str, stack: Stack
) -> None:
    """The call is seen to end only after the command has: it stays within the iteration."""
    with Simulator("stall") as sim:
        started = bench.start(*words(sim, claude, "-p", "hello", *PRINT), env=stack.env)
        sim.wait_for(lambda sim: any(call.sent for call in sim.calls), 60)
        child_of(started, lambda line: line.startswith(claude)).send_signal(signal.SIGKILL)
        _, said = started.communicate(timeout=60)
        assert started.returncode == 137, said
    outline = read(stack, bench)
    assert outline.names() == [
        "invoke_agent claude !",
        "  invoke_agent claude-cli",
        "    chat claude-opus-5-5 !",
    ]
    (call,) = outline.role("call")
    assert call.tags["error.type"] == "client_disconnected"
    assert call.tags["tokenproxy.outcome"] == "aborted"
    assert "gen_ai.usage.output_tokens" not in call.tags
    (root,) = outline.role("iteration")
    assert root.tags["otel.status_description"] == "exit status 137"
    assert_times_add_up(outline)


def test_an_exemplar_leads_from_a_measurement_to_its_trace(
    bench: Bench, claude: str, stack: Stack
) -> None:
    assert run(bench, stack, "agent", claude, SUBAGENT.format("true")) == 0
    outline = read(stack, bench)
    calls = {(span.trace_id, span.span_id): span for span in outline.role("call")}
    durations = "gen_ai_client_operation_duration_seconds_bucket"
    wait_until(lambda: stack.prometheus.exemplars(durations), 30, "no exemplar has come")
    found = stack.prometheus.exemplars(durations)
    for exemplar in found:
        span = calls[exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"]]
        assert abs(float(exemplar["value"]) * 1e6 - span.duration_us) < 1000
        assert stack.jaeger.trace(span.trace_id)
    # Tokens lead there too.
    tokens = stack.prometheus.exemplars("gen_ai_client_token_usage_bucket")
    assert {(one["labels"]["trace_id"], one["labels"]["span_id"]) for one in tokens} <= set(calls)
    assert tokens


def test_the_sender_is_told_and_not_the_prompt(bench: Bench, claude: str, stack: Stack) -> None:
    assert run(bench, stack, "agent", claude, "a secret prompt") == 0
    (root,) = read(stack, bench).role("iteration")
    told = get(f"{stack.jaeger.url}/api/traces/{root.trace_id}")
    (trace,) = json.loads(told)["data"]
    (process,) = trace["processes"].values()
    tags = {tag["key"]: tag["value"] for tag in process["tags"]}
    assert process["serviceName"] == "tokenproxy"
    assert tags["service.version"] == __version__
    assert tags["service.instance.id"]
    assert b"secret" not in told
