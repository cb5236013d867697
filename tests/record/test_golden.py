"""From provider's bytes to the ledger's sum: the golden case of five calls."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.record.make import RUN, end, start
from tokenproxy.record.ledger import iter_rows
from tokenproxy.record.recorder import Recorder
from tokenproxy.record.row import Row
from tokenproxy.wire import routes
from tokenproxy.wire.dialect import Head

OUTPUTS = (55, 42, 77, 42, 42)


def answer(number: int, output: int) -> bytes:
    message = {
        "type": "message",
        "id": f"msg_{number}",
        "model": "claude-opus-5-5",
        "role": "assistant",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 12,
            "cache_read_input_tokens": 15_000,
            "cache_creation_input_tokens": 2_048,
            "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 48},
            "output_tokens": output,
            "service_tier": "standard",
            "inference_geo": "global",
        },
    }
    return json.dumps(message).encode()


def test_the_ledgers_sum_is_the_clients_own(tmp_path: Path) -> None:
    book = tmp_path / "provider_usage.jsonl"
    recorder = Recorder(run=RUN, ledger=book, journal=tmp_path / "run" / "journal-0.jsonl")
    recorder.start()
    for number, output in enumerate(OUTPUTS):
        begun = msgspec.structs.replace(start(at=number), dialect="anthropic.messages")
        recorder.opened(begun)
        body = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": str(number)}]}
        recorder.requested(begun.call_id, json.dumps(body).encode())
        parser = routes.dialect(begun.dialect).open_response(
            Head(status=200, content_type="application/json", operation=begun.operation)
        )
        parser.feed(answer(number, output))
        parser.close()
        recorder.closed(begun.call_id, end(at=number + 0.5, read=parser.reading))
    summary = recorder.finish(None)
    rows = [msgspec.convert(line.row, Row) for line in iter_rows(book)]
    assert [row.output_tokens for row in rows] == list(OUTPUTS)
    assert {row.completeness for row in rows} == {"final"}
    assert sum(row.uncached_input_tokens or 0 for row in rows) == 60
    assert sum(row.cache_read_input_tokens or 0 for row in rows) == 75_000
    assert sum(row.cache_creation_5m_input_tokens or 0 for row in rows) == 10_000
    assert sum(row.cache_creation_1h_input_tokens or 0 for row in rows) == 240
    assert sum(row.cost_usd or 0 for row in rows) == pytest.approx(0.07232, abs=1e-12)
    assert summary.cost_usd == pytest.approx(0.07232, abs=1e-12)
    assert (summary.input_tokens, summary.output_tokens) == (60 + 75_000 + 10_240, 258)
    assert [row.retry_of for row in rows] == [None] * 5
