"""Every provider's calls, from bytes to counts and costs."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest

from tests.wire.cases import Case, all_cases
from tokenproxy.config import RunContext
from tokenproxy.record.call import Call, CallEnd, CallStart
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.wire import routes
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.usage import Reading, RequestFacts

CASES = all_cases()


def read(case: Case, sizes: list[int] | None = None) -> Reading:
    """What is read of the response, fed in chunks of ``sizes`` bytes in turn."""
    route = routes.match(case.provider, case.method, case.path)
    assert route is not None
    parser = routes.dialect(route.dialect).open_response(
        Head(
            status=case.status,
            content_type=case.headers.get("content-type", ""),
            headers=case.headers,
            operation=route.operation,
            model=route.model,
            provider=route.provider,
            first_party=routes.is_first_party(route.provider, case.host),
        )
    )
    at = turn = 0
    while at < len(case.body):
        size = sizes[turn % len(sizes)] if sizes else len(case.body)
        parser.feed(case.body[at : at + size])
        at, turn = at + size, turn + 1
    parser.close()
    parser.close()
    items = parser.take_items()
    return items[0] if items else parser.reading


def test_ids_are_unique() -> None:
    assert [name for name, times in Counter(case.id for case in CASES).items() if times > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_route(case: Case) -> None:
    route = routes.match(case.provider, case.method, case.path)
    assert route is not None
    assert (route.dialect, route.operation) == (case.dialect, case.operation)
    facts = routes.dialect(route.dialect).read_request(case.request)
    assert not facts.malformed
    assert (facts.model or route.model) == case.asked


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_reading(case: Case) -> None:
    reading = read(case)
    assert reading.parts == case.parts
    assert (reading.completeness, reading.ended, reading.error) == (
        case.completeness,
        case.ended,
        case.error,
    )
    assert (reading.model, reading.response_id, reading.stop_reason) == (
        case.model,
        case.response_id,
        case.stop_reason,
    )
    assert reading.notes == case.notes
    assert reading.tool_uses == case.tool_uses
    assert reading.provider_cost_usd == case.provider_cost_usd
    if case.usage is not None:
        assert reading.usage == case.usage


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_any_chunking_reads_the_same(case: Case) -> None:
    whole = read(case)
    draw = random.Random(case.id)
    assert read(case, [1]) == whole
    for _ in range(5):
        assert read(case, [draw.randint(1, 90) for _ in range(7)]) == whole


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.cost_usd is not None], ids=lambda case: case.id
)
def test_cost(case: Case) -> None:
    route = routes.match(case.provider, case.method, case.path)
    assert route is not None
    host, _, port = case.host.partition(":")
    begun = int(datetime.fromisoformat(case.at).timestamp()) * 10**9
    call = Call(
        start=CallStart(
            call_id="c",
            trace_id="1" * 32,
            span_id="2" * 16,
            started_ns=begun,
            provider=route.provider,
            dialect=route.dialect,
            operation=route.operation,
            server_address=host,
            server_port=int(port or 443),
        ),
        end=CallEnd(ended_ns=begun, outcome="complete", status_code=200, reading=read(case)),
        request=RequestFacts(model=case.asked),
    )
    run = RunContext(run_id="r", trace_id="1" * 32, span_id="2" * 16, started_ns=begun)
    assert make_row(call, run, Prices()).cost_usd == float(Decimal(case.cost_usd or "nan"))
