"""The exact tree of spans, in memory."""

from __future__ import annotations

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry import scene
from tests.telemetry.memory import Memory, hex_id, parent_id
from tests.telemetry.scene import at, call_span, tool_span
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.ids import derived_span_id, derived_trace_id
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41
from tokenproxy.wire.usage import Attribution, Reading, ResponseFacts, ToolResult, ToolUse


@pytest.fixture
def played() -> Memory:
    return Memory().play(scene.calls())


CLIENT, INTERNAL = SpanKind.CLIENT, SpanKind.INTERNAL
TREE = [
    # span id, parent, name, kind, start, end, failed
    (scene.ROOT, scene.OUTER, "invoke_agent claude", INTERNAL, 0.0, 8.0, False),
    (scene.TURN_SPAN, scene.ROOT, "invoke_agent claude-cli", INTERNAL, 0.5, 7.0, False),
    (call_span(1), scene.TURN_SPAN, "chat claude-sonnet-4-5", CLIENT, 0.5, 2.0, False),
    (tool_span("toolu_bash"), scene.TURN_SPAN, "execute_tool Bash", INTERNAL, 2.0, 3.094, False),
    (tool_span("toolu_agent"), scene.TURN_SPAN, "execute_tool Agent", INTERNAL, 2.0, 2.022, True),
    (scene.AGENT_SPAN, scene.TURN_SPAN, "invoke_agent general-purpose", INTERNAL, 2.2, 4.0, False),
    (call_span(2), scene.AGENT_SPAN, "chat claude-haiku-4-5", CLIENT, 2.2, 3.0, False),
    (tool_span("toolu_read"), scene.AGENT_SPAN, "execute_tool Read", INTERNAL, 3.0, 3.5, False),
    (call_span(3), scene.AGENT_SPAN, "chat claude-haiku-4-5", CLIENT, 3.5, 4.0, False),
    (call_span(4), scene.TURN_SPAN, "chat claude-sonnet-4-5", CLIENT, 4.2, 4.3, True),
    (call_span(5), scene.TURN_SPAN, "chat claude-sonnet-4-5", CLIENT, 5.0, 6.0, False),
    (call_span(6), scene.TURN_SPAN, "count_tokens claude-sonnet-4-5", CLIENT, 6.1, 6.2, False),
    (call_span(7), scene.TURN_SPAN, "chat claude-sonnet-4-5", CLIENT, 6.3, 7.0, True),
    (call_span(8), scene.ROOT, "chat claude-sonnet-4-5", CLIENT, 7.1, 7.5, False),
]


def test_an_iteration_is_this_tree(played: Memory) -> None:
    found = {
        (
            hex_id(span),
            parent_id(span),
            span.name,
            span.kind,
            span.start_time,
            span.end_time,
            span.status.status_code is StatusCode.ERROR,
        )
        for span in played.spans
    }
    assert found == {(*row[:4], at(row[4]), at(row[5]), row[6]) for row in TREE}
    assert len(played.spans) == len(TREE)


def test_all_spans_are_of_the_run_s_trace(played: Memory) -> None:
    assert {f"{span.context.trace_id:032x}" for span in played.spans if span.context} == {
        scene.TRACE
    }


def test_only_the_iteration_s_parent_is_remote_and_the_tracestate_goes_on(played: Memory) -> None:
    remote = [span for span in played.spans if span.parent and span.parent.is_remote]
    assert [hex_id(span) for span in remote] == [scene.ROOT]
    assert {str(span.context.trace_state.to_header()) for span in played.spans if span.context} == {
        "vendor=1"
    }


def test_without_a_parent_the_iteration_is_the_root() -> None:
    run = msgspec.structs.replace(scene.RUN, parent_span_id=None, tracestate=None)
    root = Memory(run).play(scene.calls()).span(scene.ROOT)
    assert root.parent is None
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == scene.TRACE


def links(span: ReadableSpan) -> list[tuple[str, str, object]]:
    return [
        (
            f"{link.context.trace_id:032x}",
            f"{link.context.span_id:016x}",
            (link.attributes or {})["tokenproxy.link"],
        )
        for link in span.links
    ]


def test_a_call_links_to_the_client_s_span_and_a_retry_to_the_failed_attempt(
    played: Memory,
) -> None:
    client = ("1" * 32, "2" * 16, "client")
    assert links(played.span(call_span(1))) == [client]
    retry = played.span(call_span(5))
    assert links(retry) == [client, (scene.TRACE, call_span(4), "retry_of")]
    assert retry.attributes is not None
    assert retry.attributes["http.request.resend_count"] == 1
    assert retry.attributes["tokenproxy.retry_of"] == "call-4"
    assert links(played.span(call_span(8))) == []
    first = played.span(call_span(4)).attributes or {}
    assert "http.request.resend_count" not in first


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{'2' * 16}-01"])
def test_a_traceparent_that_is_none_is_no_link(traceparent: str) -> None:
    who = msgspec.structs.replace(scene.MAIN, traceparent=traceparent)
    call = scene.make_call(1, 0.5, 1.0, scene.complete(), who)
    assert links(Memory().play([call]).span(call_span(1))) == []


def test_a_final_answer_s_usage_is_inclusive_and_split(played: Memory) -> None:
    said = played.span(call_span(1)).attributes or {}
    expected = {
        "gen_ai.provider.name": "anthropic",
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "gen_ai.conversation.id": scene.SESSION,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.finish_reasons": ("tool_use",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 12 + 15_000 + 2_050,
        "gen_ai.usage.cache_read.input_tokens": 15_000,
        "gen_ai.usage.cache_creation.input_tokens": 2_050,
        "gen_ai.usage.output_tokens": 55,
        "tokenproxy.usage.uncached_input_tokens": 12,
        "tokenproxy.usage.cache_creation_5m_input_tokens": 2_000,
        "tokenproxy.usage.cache_creation_1h_input_tokens": 48,
        "tokenproxy.usage.server_tool.web_search_requests": 2,
        "tokenproxy.cost.usd": 0.0144648,
        "tokenproxy.cost.usd_nanos": 14_464_800,
        "tokenproxy.call.id": "call-1",
        "tokenproxy.run.id": scene.RUN.run_id,
        "tokenproxy.story.id": "ST-1",
        "tokenproxy.iteration": 3,
        "tokenproxy.outcome": "complete",
        "tokenproxy.completeness": "final",
        "tokenproxy.request_class": "main",
        "tokenproxy.turn.id": "turn-1",
        "tokenproxy.request.id": "req_1",
    }
    assert {name: said.get(name) for name in expected} == expected
    assert "error.type" not in said
    assert "gen_ai.usage.reasoning.output_tokens" not in said


def test_of_a_cut_stream_only_lower_bounds_are_told_and_not_under_standard_names(
    played: Memory,
) -> None:
    said = played.span(call_span(7)).attributes or {}
    assert said["error.type"] == "client_disconnected"
    assert said["gen_ai.usage.input_tokens"] == 17_062
    assert said["tokenproxy.usage.output_tokens_at_least"] == 3
    assert said["tokenproxy.usage.reasoning_output_tokens_at_least"] == 2
    assert "gen_ai.usage.output_tokens" not in said
    assert "gen_ai.usage.reasoning.output_tokens" not in said
    assert "gen_ai.response.finish_reasons" not in said
    main = Memory(dialect=GENAI_MAIN).play(scene.calls()).span(call_span(7)).attributes or {}
    assert main["gen_ai.response.finish_reasons"] == ("error",)


def test_a_refused_call_has_an_error_type_and_no_usage(played: Memory) -> None:
    said = played.span(call_span(4)).attributes or {}
    assert said["error.type"] == "overloaded_error"
    assert said["http.response.status_code"] == 529
    assert not [name for name in said if "usage" in name or "cost" in name]


def test_token_counting_is_a_span_without_usage(played: Memory) -> None:
    said = played.span(call_span(6)).attributes or {}
    assert said["gen_ai.operation.name"] == "count_tokens"
    assert not [name for name in said if "usage" in name or "cost" in name]


def test_a_call_billed_to_several_models_tells_each_part(played: Memory) -> None:
    parts = [dict(event.attributes or {}) for event in played.span(call_span(5)).events]
    assert [part["tokenproxy.part.role"] for part in parts] == ["main", "compaction"]
    assert [part["gen_ai.response.model"] for part in parts] == [
        "claude-sonnet-4-5-20250929",
        scene.HAIKU,
    ]
    assert [part["gen_ai.usage.output_tokens"] for part in parts] == [55, 30]
    assert [part["tokenproxy.usage.uncached_input_tokens"] for part in parts] == [12, 12]
    assert parts[0]["tokenproxy.usage.cache_creation_1h_input_tokens"] == 48
    assert played.span(call_span(1)).events == ()


def test_a_call_says_by_itself_whose_it_is(played: Memory) -> None:
    calls = [span.attributes or {} for span in played.spans if span.kind.name == "CLIENT"]
    assert {said["tokenproxy.label.team"] for said in calls} == {"blue"}


def test_labels_beyond_what_the_sdk_keeps_cost_no_count() -> None:
    many = {f"l{number}": "x" for number in range(200)}
    run = msgspec.structs.replace(scene.RUN, labels=many)
    said = Memory(run=run).play(scene.calls()).span(call_span(1)).attributes or {}
    assert said["gen_ai.usage.input_tokens"] == 17_062
    assert said["tokenproxy.call.id"]


def test_parents_carry_sums_under_names_of_their_own(played: Memory) -> None:
    root, turn, agent = (
        played.span(span_id).attributes or {}
        for span_id in (scene.ROOT, scene.TURN_SPAN, scene.AGENT_SPAN)
    )
    sums = [
        tuple(group[f"tokenproxy.sum.{name}"] for name in ("calls", "tool_calls", "input_tokens"))
        for group in (root, turn, agent)
    ]
    # Seven rows (counting leaves none), the refused one without tokens, one with two parts.
    assert sums == [(7, 3, 7 * 17_062), (6, 3, 6 * 17_062), (2, 1, 2 * 17_062)]
    assert root["tokenproxy.sum.cost_usd"] == pytest.approx(0.1541080111, abs=1e-9)
    for group in (root, turn, agent):
        assert not [name for name in group if name.startswith("gen_ai.usage")]


def test_the_iteration_tells_of_the_run(played: Memory) -> None:
    said = played.span(scene.ROOT).attributes or {}
    assert said["tokenproxy.complexity"] == 5
    assert said["tokenproxy.project"] == "shop"
    assert said["tokenproxy.label.team"] == "blue"
    assert said["tokenproxy.exit_status"] == 0
    assert said["gen_ai.agent.name"] == "claude"
    assert said["tokenproxy.span.role"] == "iteration"
    agent = played.span(scene.AGENT_SPAN).attributes or {}
    assert agent["gen_ai.agent.id"] == scene.AGENT


def test_a_command_that_fails_fails_its_iteration() -> None:
    end = IterationEnd(ended_ns=at(8), exit_status=130)
    root = Memory().play(scene.calls(), end).span(scene.ROOT)
    assert root.status.status_code is StatusCode.ERROR
    assert root.status.description == "exit status 130"
    assert (root.attributes or {})["error.type"] == "130"


def test_a_call_that_is_seen_to_end_after_the_command_stays_below_it() -> None:
    end = IterationEnd(ended_ns=at(6.0), exit_status=137)
    played = Memory().play(scene.calls(), end)
    root = played.span(scene.ROOT)
    assert root.end_time == max(span.end_time or 0 for span in played.spans) == at(7.5)


def test_an_end_that_nobody_told_is_the_last_thing_seen() -> None:
    root = Memory().play(scene.calls(), None).span(scene.ROOT)
    assert root.end_time == at(7.5)
    assert root.status.status_code is StatusCode.UNSET
    assert "tokenproxy.exit_status" not in (root.attributes or {})


def test_a_run_without_calls_is_one_span() -> None:
    memory = Memory().play([])
    assert [(span.name, span.end_time) for span in memory.spans] == [
        ("invoke_agent claude", at(8.0))
    ]


def test_a_subagent_of_a_subagent_hangs_on_it_whoever_is_seen_first() -> None:
    child = msgspec.structs.replace(scene.SUB, agent_id="child", parent_agent_id=scene.AGENT)
    calls = [
        scene.make_call(1, 1.0, 2.0, scene.complete(), child),
        scene.make_call(2, 0.5, 0.9, scene.complete(), scene.SUB),
    ]
    memory = Memory().play(calls)
    child_span = derived_span_id(scene.TRACE, "agent", scene.TURN, "child")
    assert parent_id(memory.span(child_span)) == scene.AGENT_SPAN
    above = memory.span(scene.AGENT_SPAN)
    assert parent_id(above) == scene.TURN_SPAN
    assert above.name == "invoke_agent general-purpose"
    assert (above.start_time, above.end_time) == (at(0.5), at(2.0))


def test_a_tool_result_of_another_agent_ends_no_tool() -> None:
    uses = [ToolUse("toolu_bash", "Bash")]
    request = msgspec.structs.replace(
        scene.make_call(0, 0, 1, scene.complete(), scene.SUB).request,
        tool_results=(ToolResult("toolu_bash"),),
    )
    calls = [
        scene.make_call(1, 0.5, 1.0, scene.complete(uses=uses), scene.MAIN),
        scene.make_call(2, 1.5, 2.0, scene.complete(), scene.SUB, request=request),
    ]
    assert not [span for span in Memory().play(calls).spans if "tool" in span.name]


def test_two_runs_of_one_tool_take_the_stated_durations_in_order() -> None:
    uses = [ToolUse("a", "Bash"), ToolUse("b", "Bash"), ToolUse("c", "Bash")]
    who = msgspec.structs.replace(scene.MAIN, tool_durations_ms=(("Bash", 100.0), ("Bash", 200.0)))
    second = scene.make_call(2, 3.0, 4.0, scene.complete(), who)
    results = tuple(ToolResult(use.id) for use in uses)
    second = msgspec.structs.replace(
        second, request=msgspec.structs.replace(second.request, tool_results=results)
    )
    memory = Memory().play(
        [scene.make_call(1, 0.5, 1.0, scene.complete(uses=uses), scene.MAIN), second]
    )
    # The third has no duration left: it lasts until the request begins.
    assert [memory.span(tool_span(name)).end_time for name in "abc"] == [
        at(1.1),
        at(1.2),
        at(3.0),
    ]


def test_a_tool_that_outlasts_the_next_call_stretches_its_parents() -> None:
    who = msgspec.structs.replace(scene.MAIN, tool_durations_ms=(("Bash", 9000.0),))
    second = scene.make_call(2, 3.0, 4.0, scene.complete(), who)
    second = msgspec.structs.replace(
        second,
        request=msgspec.structs.replace(second.request, tool_results=(ToolResult("slow"),)),
    )
    uses = [ToolUse("slow", "Bash")]
    memory = Memory().play(
        [scene.make_call(1, 0.5, 1.0, scene.complete(uses=uses), scene.MAIN), second], None
    )
    assert memory.span(scene.TURN_SPAN).end_time == at(9.5)
    assert memory.span(scene.ROOT).end_time == at(9.5)


def test_a_tool_has_ended_when_the_request_with_its_result_begins() -> None:
    """Claude Code starts a tool while the answer that asks for it still streams."""
    who = msgspec.structs.replace(scene.MAIN, tool_durations_ms=(("Bash", 2100.0),))
    second = scene.make_call(2, 3.0, 4.0, scene.complete(), who)
    second = msgspec.structs.replace(
        second,
        request=msgspec.structs.replace(second.request, tool_results=(ToolResult("a"),)),
    )
    uses = [ToolUse("a", "Bash")]
    memory = Memory().play(
        [scene.make_call(1, 0.5, 1.0, scene.complete(uses=uses), scene.MAIN), second]
    )
    span = memory.span(tool_span("a"))
    assert (span.start_time, span.end_time) == (at(0.9), at(3.0))


def test_a_clock_that_was_set_back_makes_no_negative_span() -> None:
    call = scene.make_call(1, 2.0, 1.0, scene.complete(), scene.MAIN)
    span = Memory().play([call]).span(call_span(1))
    assert span.start_time == span.end_time == at(2.0)


def test_text_that_is_no_unicode_is_made_fit() -> None:
    run = msgspec.structs.replace(scene.RUN, story_id='a "b"\n\udcff')
    memory = Memory(run).play(scene.calls())
    assert (memory.span(scene.ROOT).attributes or {})["tokenproxy.story.id"] == 'a "b"\n?'
    assert memory.total("tokenproxy.calls", tokenproxy__story__id='a "b"\n?') == 7


# -- sampling -------------------------------------------------------------------------


def unsampled() -> RunContext:
    return msgspec.structs.replace(scene.RUN, trace_flags=0)


@pytest.mark.parametrize(
    ("run", "sampler", "expected"),
    [
        (scene.RUN, None, 14),
        (unsampled(), None, 0),
        (unsampled(), ALWAYS_ON, 14),
        (scene.RUN, ALWAYS_OFF, 0),
        (scene.RUN, ParentBased(ALWAYS_OFF), 14),
        (msgspec.structs.replace(scene.RUN, parent_span_id=None), ParentBased(ALWAYS_OFF), 0),
    ],
)
def test_the_whole_trace_is_kept_or_left_and_measured_all_the_same(
    run: RunContext, sampler: Sampler | None, expected: int
) -> None:
    memory = Memory(run, sampler=sampler).play(scene.calls())
    assert len(memory.spans) == expected
    assert memory.total("tokenproxy.calls") == 7


# -- gateway --------------------------------------------------------------------------

GATEWAY = msgspec.structs.replace(
    scene.RUN, gateway=True, agent=None, parent_span_id=None, tracestate=None
)


def test_behind_a_gateway_each_turn_is_a_trace() -> None:
    calls = []
    for number, turn in enumerate(("one", "two")):
        who = msgspec.structs.replace(scene.MAIN, turn_id=turn)
        trace_id = derived_trace_id("turn", turn)
        calls.append(
            scene.make_call(number, number, number + 0.5, scene.complete(), who, trace_id=trace_id)
        )
    calls.append(
        scene.make_call(
            2, 2, 2.5, scene.complete(), Attribution(), trace_id=derived_trace_id("alone")
        )
    )
    memory = Memory(GATEWAY).play(calls, None)
    roots = [span for span in memory.spans if span.parent is None]
    assert sorted(span.name for span in roots) == [
        "chat claude-sonnet-4-5",
        "invoke_agent claude-cli",
        "invoke_agent claude-cli",
    ]
    assert len(memory.spans) == 5
    assert all(
        span.parent.trace_id == span.context.trace_id
        for span in memory.spans
        if span.parent and span.context
    )


def test_dialects_differ_in_names_only() -> None:
    shapes = [
        sorted((span.name, parent_id(span), span.start_time) for span in memory.spans)
        for memory in (Memory(dialect=d).play(scene.calls()) for d in (V1_41, GENAI_MAIN))
    ]
    assert shapes[0] == shapes[1]


def test_a_call_nothing_is_known_of_is_a_span() -> None:
    call = scene.make_call(1, 0, 1, Reading(), Attribution(), outcome="lost", error="proxy_killed")
    empty = msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, model=None))
    span = Memory().play([empty]).span(call_span(1))
    assert span.name == "chat"
    assert (span.attributes or {})["error.type"] == "proxy_killed"


def test_a_call_tells_whose_account_it_used_and_what_is_left_of_its_limits() -> None:
    first = scene.calls()[0]
    response = ResponseFacts(
        organization_id="org_1",
        workspace_id="wrkspc_1",
        rate_limits={f"anthropic-ratelimit-{n:02d}": str(n) for n in range(40)},
        retry_after_s=7.0,
    )
    who = msgspec.structs.replace(
        first.start.attribution, compaction="auto", context_compacted="true"
    )
    call = msgspec.structs.replace(
        first,
        start=msgspec.structs.replace(first.start, attribution=who),
        end=msgspec.structs.replace(first.end, response=response),
    )
    said = Memory().play([call]).span(call.start.span_id).attributes
    assert said is not None
    assert said["tokenproxy.organization.id"] == "org_1"
    assert said["tokenproxy.workspace.id"] == "wrkspc_1"
    assert said["tokenproxy.retry_after"] == 7.0
    assert said["tokenproxy.compaction"] == "auto"
    assert said["tokenproxy.context_compacted"] == "true"
    limits = {
        name: value for name, value in said.items() if name.startswith("http.response.header")
    }
    assert limits["http.response.header.anthropic-ratelimit-00"] == ("0",)
    assert len(limits) == 32
