"""A provider that breaks off, at each kind of byte: the client sees what it sees without us."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.faults.network.scene import (
    DEADLINE_S,
    Account,
    Script,
    Seen,
    connected,
    read,
)
from tests.proxy.lane.test_relay import ANSWER, EVENTS, QUESTION
from tests.proxy.lane.wire import payload

ASK = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
REQUEST = ASK % len(QUESTION) + QUESTION
SSE = b"HTTP/1.1 200 OK\r\nrequest-id: r1\r\ncontent-type: text/event-stream\r\n"
HEAD = SSE + b"transfer-encoding: chunked\r\n\r\n"
_CUT = EVENTS.index(b"event: content_block_delta"), EVENTS.index(b"event: message_delta")
FIRST, SECOND, LAST = EVENTS[: _CUT[0]], EVENTS[_CUT[0] : _CUT[1]], EVENTS[_CUT[1] :]
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


BEGUN = HEAD + chunk(FIRST)
ALL = BEGUN + chunk(SECOND) + chunk(LAST)


@dataclass(frozen=True)
class Case:
    """What a provider sends before it ends, and what that is to the account."""

    sent: bytes
    outcome: str
    error: str | None
    completeness: str


NOTHING = ("error", "upstream_disconnected", "none")
CUT = ("truncated", "upstream_disconnected", "partial")
WHOLE = ("complete", None, "final")
CASES = {
    "nothing at all": Case(b"", *NOTHING),
    "in the status line": Case(HEAD[:11], *NOTHING),
    "in a header": Case(HEAD[:40], *NOTHING),
    "between two headers": Case(SSE, *NOTHING),
    "in an interim head": Case(b"HTTP/1.1 103 Early Hi", *NOTHING),
    "after an interim head": Case(b"HTTP/1.1 103 Early Hints\r\n\r\n", *NOTHING),
    "after the head": Case(HEAD, "truncated", "upstream_disconnected", "none"),
    "in a chunk's size": Case(HEAD + b"1", "truncated", "upstream_disconnected", "none"),
    "after a chunk's size": Case(BEGUN + b"5f\r\n", *CUT),
    "in a chunk": Case(BEGUN + chunk(SECOND)[:20], *CUT),
    "before a chunk's end": Case(BEGUN + chunk(SECOND)[:-2], *CUT),
    "between two events": Case(BEGUN + chunk(SECOND), *CUT),
    "after the last event": Case(ALL, *WHOLE),
    "in the last chunk": Case(ALL + b"0\r\n", *WHOLE),
    "after all": Case(ALL + b"0\r\n\r\n", *WHOLE),
    "a length that was not reached": Case(
        JSON % (len(ANSWER) + 7) + ANSWER[:-9], "truncated", "upstream_disconnected", "none"
    ),
    "a length too large": Case(JSON % (len(ANSWER) + 7) + ANSWER, *WHOLE),
    "no length, cut": Case(SSE + b"connection: close\r\n\r\n" + FIRST + SECOND, *CUT),
    "no length, whole": Case(SSE + b"connection: close\r\n\r\n" + EVENTS, *WHOLE),
    "HTTP/1.0, cut": Case(
        SSE.replace(b"1.1", b"1.0") + b"\r\n" + FIRST, *CUT
    ),
    "HTTP/1.0, whole": Case(SSE.replace(b"1.1", b"1.0") + b"\r\n" + EVENTS, *WHOLE),
}  # fmt: skip
ERROR_OF_STREAM = "stream_truncated"
"""A stream without a length that is closed in order is HTTP's whole; its own end is missing."""


def ask(port: int, silence_s: float = DEADLINE_S) -> Seen:
    with connected(port) as client:
        client.sendall(REQUEST)
        return read(client, silence_s=silence_s)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("name", CASES)
def test_the_client_sees_what_it_sees_without_us(account: Account, name: str, end: str) -> None:
    case = CASES[name]
    account.upstream.play(Script([case.sent] if case.sent else [], end))
    over = name == "after all"  # what the connection does then is nobody's business
    direct, seen = ask(account.upstream.port), ask(account.port, 0.3 if over else DEADLINE_S)
    [row] = account.wait()
    assert direct == Seen(case.sent, "end" if end == "close" else "reset")
    if not account.proxy.lane:
        # It takes a head for one when it is whole.
        assert over or seen.end == direct.end
        assert payload(case.sent)[1].startswith(payload(seen.got)[1])
        assert case.error is not None or payload(seen.got)[1] == payload(case.sent)[1]
    elif over:
        assert seen.got == direct.got
    else:
        assert seen == direct
    told(row, case, end)


def told(row: object, case: Case, end: str) -> None:
    assert isinstance(row, dict)
    error = case.error
    no_length = b"connection: close" in case.sent or b"HTTP/1.0" in case.sent
    if end == "close" and no_length and error is not None:
        error = ERROR_OF_STREAM
    assert (row["outcome"], row.get("error"), row["completeness"]) == (
        case.outcome, error, case.completeness,
    )  # fmt: skip
    assert row["success"] is (error is None)
    if case.completeness == "final":
        assert row["output_tokens"] == 42
