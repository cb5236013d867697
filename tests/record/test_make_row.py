from __future__ import annotations

from pathlib import Path

import genai_prices
import msgspec
import pytest

from tests.record.make import MODEL, RUN, T0, call, end, part, reading, start
from tokenproxy.record.call import Outcome
from tokenproxy.record.make_row import make_row, timestamp
from tokenproxy.record.price import Prices
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, ResponseFacts, UsagePart


@pytest.fixture(scope="module")
def prices() -> Prices:
    made = Prices()
    made.load()
    return made


def test_a_whole_call(prices: Prices) -> None:
    who = Attribution(
        session_id="s",
        turn_id="t",
        agent_id="a",
        parent_agent_id="p",
        agent_type="general-purpose",
        request_class="subagent",
        client_request_id="c",
        tool_durations_ms=(("Bash", 1052.0), ("Read", 3.0)),
        client="claude-cli/2.1.330",
    )
    used = UsagePart(
        uncached_input_tokens=12,
        cache_read_input_tokens=15_000,
        cache_creation_input_tokens=2_048,
        cache_creation_5m_input_tokens=2_000,
        cache_creation_1h_input_tokens=48,
        output_tokens=55,
        reasoning_output_tokens=7,
        service_tier="standard",
        inference_geo="global",
        speed="standard",
    )
    ended = end(
        at=1.2505,
        read=reading(used, notes=("cache_split_remainder",)),
        stream=True,
        first_content_ns=T0 + 300_000_000,
        request_bytes=48_000,
        response_bytes=900,
        response=ResponseFacts(request_id="req_1"),
    )
    run = msgspec.structs.replace(RUN, labels={"team": "red"})
    row = make_row(call(start("id-1", who=who), ended, attempt=1, retry_of="id-0"), run, prices)
    assert msgspec.to_builtins(row) == {
        "timestamp": "2026-11-22T00:54:55.830Z",
        "story_id": "US-7",
        "iteration": 3,
        "provider": "anthropic",
        "model": MODEL,
        "complexity": 5,
        "input_tokens": 17_060,
        "output_tokens": 55,
        "cost_usd": 0.014532,
        "latency_ms": 1250.5,
        "success": True,
        "fallback_used": False,
        "schema": "tokenproxy.usage/1",
        "run_id": RUN.run_id,
        "call_id": "id-1",
        "outcome": "complete",
        "completeness": "final",
        "operation": "chat",
        "requested_model": MODEL,
        "response_id": "msg_1",
        "request_id": "req_1",
        "client_request_id": "c",
        "session_id": "s",
        "turn_id": "t",
        "agent_id": "a",
        "parent_agent_id": "p",
        "agent_type": "general-purpose",
        "request_class": "subagent",
        "tool_durations": (
            {"name": "Bash", "duration_ms": 1052.0},
            {"name": "Read", "duration_ms": 3.0},
        ),
        "attempt": 1,
        "retry_of": "id-0",
        "uncached_input_tokens": 12,
        "cache_read_input_tokens": 15_000,
        "cache_creation_input_tokens": 2_048,
        "cache_creation_5m_input_tokens": 2_000,
        "cache_creation_1h_input_tokens": 48,
        "reasoning_output_tokens": 7,
        "service_tier": "standard",
        "speed": "standard",
        "inference_geo": "global",
        "stop_reason": "end_turn",
        "status_code": 200,
        "stream": True,
        "ttft_ms": 300.0,
        "request_bytes": 48_000,
        "response_bytes": 900,
        "price_version": f"genai-prices/{genai_prices.__version__}",
        "notes": ("cache_split_remainder",),
        "trace_id": RUN.trace_id,
        "span_id": row.span_id,
        "project": "loom",
        "labels": {"team": "red"},
        "client": "claude-cli/2.1.330",
        "usage": [{"input_tokens": 3, "output_tokens": 5}],
    }


def test_without_usage_nothing_is_counted(prices: Prices) -> None:
    row = make_row(call(ended=end("error")), RUN, prices)
    assert row.completeness == "none"
    for absent in ("input_tokens", "output_tokens", "cost_usd", "price_version", "usage", "parts"):
        assert getattr(row, absent) is None
    assert (row.success, row.error, row.model) == (False, "overloaded_error", MODEL)


def test_without_any_model_the_name_is_empty(prices: Prices) -> None:
    row = make_row(call(ended=end("error"), request=RequestFacts()), RUN, prices)
    assert row.model == ""
    assert row.requested_model is None


def test_served_model_counts_not_the_requested_one(prices: Prices) -> None:
    row = make_row(call(ended=end(read=reading(model="claude-sonnet-5-5"))), RUN, prices)
    assert (row.model, row.requested_model) == ("claude-sonnet-5-5", MODEL)
    assert row.cost_usd == pytest.approx(3 * 2e-6 + 5 * 10e-6)


def test_several_models_are_listed_and_priced_each_at_its_own(prices: Prices) -> None:
    row = make_row(
        call(
            ended=end(
                read=reading(
                    part(uncached_input_tokens=412, output_tokens=265),
                    part(
                        role="advisor",
                        model="claude-fable-5-2",
                        uncached_input_tokens=823,
                        output_tokens=1_612,
                        reasoning_output_tokens=9,
                    ),
                )
            )
        ),
        RUN,
        prices,
    )
    assert (row.input_tokens, row.output_tokens) == (412 + 823, 265 + 1_612)
    assert row.reasoning_output_tokens == 9
    assert row.parts is not None
    assert [(p.role, p.model, p.input_tokens) for p in row.parts] == [
        ("main", MODEL, 412),
        ("advisor", "claude-fable-5-2", 823),
    ]
    own = [p.cost_usd for p in row.parts]
    assert own == [
        pytest.approx(412 * 4e-6 + 265 * 20e-6),
        pytest.approx(823 * 8e-6 + 1_612 * 40e-6),
    ]
    assert row.cost_usd == pytest.approx(sum(c for c in own if c is not None))


def test_parts_of_one_model_and_role_are_summed_and_not_listed(prices: Prices) -> None:
    row = make_row(call(ended=end(read=reading(part(), part(model=MODEL)))), RUN, prices)
    assert row.parts is None
    assert (row.input_tokens, row.output_tokens) == (6, 10)


def test_a_declined_attempt_is_listed_and_in_no_sum(prices: Prices) -> None:
    declined = part(
        role="fallback_declined",
        model="claude-fable-5-2",
        billable=False,
        cache_read_input_tokens=50,
        server_tool_use={"web_search_requests": 1},
    )
    served = part(role="fallback_served")
    row = make_row(call(ended=end(read=reading(declined, served))), RUN, prices)
    assert (row.input_tokens, row.output_tokens) == (3, 5)
    assert row.cache_read_input_tokens is None
    assert row.server_tool_use is None
    assert row.cost_usd == pytest.approx(3 * 4e-6 + 5 * 20e-6)
    assert row.parts is not None
    assert (row.parts[0].billable, row.parts[0].input_tokens, row.parts[0].cost_usd) == (
        False,
        53,
        0.0,
    )


def test_a_call_that_is_not_billed_at_all_used_nothing_and_says_what_it_showed(
    prices: Prices,
) -> None:
    row = make_row(call(ended=end(read=reading(part(billable=False)))), RUN, prices)
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (0, 0, 0.0)
    assert row.parts is not None
    assert row.parts[0].output_tokens == 5


def test_one_part_without_a_price_leaves_the_row_without_one(prices: Prices) -> None:
    row = make_row(
        call(ended=end(read=reading(part(), part(role="advisor", model="unheard-of")))),
        RUN,
        prices,
    )
    assert row.cost_usd is None
    assert row.price_version is None
    assert row.parts is not None
    assert row.parts[0].cost_usd is not None
    assert row.parts[1].cost_usd is None


def test_a_total_with_an_unknown_addend_is_unknown(prices: Prices) -> None:
    row = make_row(
        call(ended=end(read=reading(part(), part(role="advisor", output_tokens=None)))), RUN, prices
    )
    assert row.output_tokens is None
    assert row.input_tokens == 6


def test_zero_is_stated_and_stays(prices: Prices) -> None:
    row = make_row(
        call(ended=end(read=reading(part(cache_read_input_tokens=0, output_tokens=0)))), RUN, prices
    )
    assert (row.cache_read_input_tokens, row.output_tokens) == (0, 0)
    assert row.cache_creation_input_tokens is None


def test_writes_known_only_by_their_split_are_input_too(prices: Prices) -> None:
    used = part(cache_creation_5m_input_tokens=10, cache_creation_1h_input_tokens=20)
    row = make_row(call(ended=end(read=reading(used))), RUN, prices)
    assert row.input_tokens == 33


def test_partial_usage_is_priced_as_a_lower_bound(prices: Prices) -> None:
    cut = reading(part(output_tokens=1), completeness="partial", ended=False)
    row = make_row(call(ended=end("truncated", read=cut, error=None)), RUN, prices)
    assert row.completeness == "partial"
    assert row.cost_usd == pytest.approx(3 * 4e-6 + 20e-6)
    assert row.error == "upstream_disconnected"


@pytest.mark.parametrize("hole", ["output_tokens", "uncached_input_tokens"])
def test_a_final_usage_with_a_hole_has_no_price_and_is_partial(prices: Prices, hole: str) -> None:
    row = make_row(call(ended=end(read=reading(part(**{hole: None})))), RUN, prices)
    assert (row.completeness, row.cost_usd, row.price_version) == ("partial", None, None)
    free = reading(part(), part(role="fallback_declined", billable=False, output_tokens=None))
    assert make_row(call(ended=end(read=free)), RUN, prices).completeness == "final"


@pytest.mark.parametrize("operation", ["embeddings", "rerank", "ocr"])
def test_what_generates_nothing_has_no_hole_where_its_output_would_be(
    prices: Prices, operation: str
) -> None:
    begun = msgspec.structs.replace(start(), operation=operation)
    row = make_row(call(begun, end(read=reading(part(output_tokens=None)))), RUN, prices)
    assert (row.completeness, row.output_tokens) == ("final", None)
    assert row.cost_usd == pytest.approx(3 * 4e-6)
    searched = reading(UsagePart(server_tool_use={"search_units": 1}))
    row = make_row(call(begun, end(read=searched)), RUN, prices)
    assert (row.completeness, row.input_tokens, row.cost_usd) == ("final", None, None)
    cut = reading(part(output_tokens=None), completeness="partial")
    assert make_row(call(begun, end(read=cut)), RUN, prices).completeness == "partial"


def test_usage_that_nobody_vouched_for_is_partial(prices: Prices) -> None:
    row = make_row(call(ended=end(read=reading(completeness="none"))), RUN, prices)
    assert row.completeness == "partial"
    assert row.input_tokens == 3


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("aborted", "client_disconnected"),
        ("truncated", "upstream_disconnected"),
        ("lost", "proxy_killed"),
        ("blocked", "blocked"),
        ("error", "unknown_error"),
    ],
)
def test_every_failure_has_an_error(outcome: Outcome, error: str) -> None:
    row = make_row(call(ended=end(outcome, error=None, status_code=None)), RUN, None)
    assert (row.success, row.error) == (False, error)


def test_success_has_no_error() -> None:
    assert make_row(call(ended=end(error="stray")), RUN, None).error is None


def test_a_lost_call_counts_no_bytes() -> None:
    row = make_row(call(ended=end("lost", request_bytes=0, response_bytes=0)), RUN, None)
    assert (row.request_bytes, row.response_bytes) == (None, None)


def test_the_bytes_of_a_call_that_was_lost_with_a_stopped_proxy_are_known() -> None:
    row = make_row(call(ended=end("lost", request_bytes=9, response_bytes=7)), RUN, None)
    assert (row.request_bytes, row.response_bytes) == (9, 7)


def test_the_session_may_stand_in_the_body() -> None:
    row = make_row(call(request=RequestFacts(session_id="from-body")), RUN, None)
    assert row.session_id == "from-body"


def test_a_provider_side_fallback_is_one() -> None:
    assert make_row(call(ended=end(read=reading(fallback=True))), RUN, None).fallback_used
    assert make_row(call(fallback_used=True), RUN, None).fallback_used


def test_a_clock_set_back_makes_no_negative_time() -> None:
    row = make_row(call(ended=end(at=-5.0)), RUN, None)
    assert row.latency_ms == 0


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (T0, "2026-11-22T00:54:55.830Z"),
        (T0 + 999_999, "2026-11-22T00:54:55.830Z"),
        (1_709_164_800_007_000_000, "2024-02-29T00:00:00.007Z"),
    ],
)
def test_timestamps(unix_ns: int, text: str) -> None:
    assert timestamp(unix_ns) == text


def test_an_empty_reading_of_a_complete_call_is_no_usage() -> None:
    row = make_row(call(ended=end(read=Reading(completeness="final"))), RUN, None)
    assert row.completeness == "none"


def test_what_the_provider_says_it_costs_is_kept_beside_our_own(prices: Prices) -> None:
    row = make_row(call(ended=end(read=reading(provider_cost_usd=0.25))), RUN, prices)
    assert (row.cost_usd, row.provider_cost_usd, row.spent_usd) == (0.000112, 0.25, 0.25)
    free = make_row(call(ended=end(read=reading(provider_cost_usd=0.0))), RUN, prices)
    assert free.spent_usd == 0.0
    unheard = reading(model="unheard-of", provider_cost_usd=0.25)
    row = make_row(call(ended=end(read=unheard)), RUN, prices)
    assert (row.cost_usd, row.price_version, row.spent_usd) == (None, None, 0.25)


def test_writes_by_every_time_to_live(prices: Prices) -> None:
    used = part(cache_creation_30m_input_tokens=40, cache_creation_12h_input_tokens=2)
    row = make_row(
        call(ended=end(read=reading(used, part(role="advisor", model="x")))), RUN, prices
    )
    assert row.input_tokens == 3 + 42 + 3
    assert row.cache_creation_30m_input_tokens == 40
    assert row.cache_creation_12h_input_tokens == 2
    assert row.parts is not None
    assert row.parts[0].cache_creation_30m_input_tokens == 40
    assert row.parts[0].cache_creation_12h_input_tokens == 2


def test_a_gateways_call_is_priced_by_the_api_it_speaks(prices: Prices) -> None:
    begun = msgspec.structs.replace(start(provider="llm.corp.example"), family="anthropic")
    assert make_row(call(begun), RUN, prices).cost_usd == 0.000112


def test_on_bedrock_the_place_in_the_request_makes_the_price(prices: Prices) -> None:
    asked = RequestFacts(model=f"global.anthropic.{MODEL}")
    row = make_row(call(start(provider="aws.bedrock"), request=asked), RUN, prices)
    assert (row.model, row.cost_usd) == (MODEL, 0.000112)
    near = RequestFacts(model=f"us.anthropic.{MODEL}")
    assert make_row(call(start(provider="aws.bedrock"), request=near), RUN, prices).cost_usd == (
        0.0001232
    )


def test_parts_from_several_price_lists_name_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[prices]]\nmodel = "advisor"\ninput_mtok = 1\noutput_mtok = 1\n')
    monkeypatch.setenv("TOKENPROXY_CONFIG", str(config))
    advised = reading(part(), part(role="advisor", model="advisor"))
    row = make_row(call(ended=end(read=advised)), RUN, Prices())
    assert row.price_version is not None
    library, own = row.price_version.split(" ")
    assert library == f"genai-prices/{genai_prices.__version__}"
    assert own.startswith("config/")
