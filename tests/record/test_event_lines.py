"""AWS event streams become lines that can be read, and in which credentials are found."""

from __future__ import annotations

import base64
import json

from tests.wire.fixtures.eventstream import error, event, exception, frame
from tokenproxy.record.event_lines import event_lines


def chunk(data: object) -> bytes:
    coded = base64.b64encode(json.dumps(data).encode()).decode()
    return event("chunk", {"bytes": coded, "p": "abcd"})


def test_each_event_is_a_line_under_its_type() -> None:
    body = (
        chunk({"type": "content_block_delta", "delta": {"text": "a\nb"}})
        + event("contentBlockDelta", {"delta": {"text": "c"}})
        + exception("throttlingException", "slow down")
        + error("internal")
    )
    lines, whole = event_lines(body)
    assert whole
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"chunk": {"type": "content_block_delta", "delta": {"text": "a\nb"}}},
        {"contentBlockDelta": {"delta": {"text": "c"}}},
        {"throttlingException": {"message": "slow down"}},
        {"internal": ""},
    ]


def test_what_is_no_json_is_text() -> None:
    lines, whole = event_lines(frame(payload=b"\xff{"))
    assert (json.loads(lines), whole) == ({"message": "\ufffd{"}, True)


def test_what_is_cut_or_none_says_so() -> None:
    body = event("a", {}) * 2
    lines, whole = event_lines(body[:-3])
    assert (lines.count(b"\n"), whole) == (1, False)
    assert event_lines(b"no event stream, but something else")[1] is False
