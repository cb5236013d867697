"""A client that leaves, at any point: the provider learns of it, the row says how far it came."""

from __future__ import annotations

import time

import pytest

from tests.faults.network.scene import DEADLINE_S, PAUSE_S, Account, Script, connected, read, reset
from tests.faults.network.test_upstream import (
    ALL,
    ASK,
    BEGUN,
    HEAD,
    LAST,
    REQUEST,
    SECOND,
    SSE,
    chunk,
)  # fmt: skip
from tests.proxy.lane.test_relay import EVENTS, QUESTION

GONE = ("aborted", "client_disconnected")
POINTS = {
    "before the head": (b"", *GONE, "none"),
    "in the head": (SSE, *GONE, "none"),
    "after the head": (HEAD, *GONE, "none"),
    "in a chunk": (BEGUN + chunk(SECOND)[:20], *GONE, "partial"),
    "between two events": (BEGUN + chunk(SECOND), *GONE, "partial"),
    "after the usage": (BEGUN + chunk(SECOND) + chunk(LAST[:-30]), *GONE, "final"),
    "after the last event": (ALL, "complete", None, "final"),
    "after all": (ALL + b"0\r\n\r\n", "complete", None, "final"),
}
"""What has come when the client leaves, and what the row says."""


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", POINTS)
def test_a_client_that_leaves(account: Account, name: str, how: str) -> None:
    sent, *wanted = POINTS[name]
    upstream = account.upstream
    upstream.play(Script([sent] if sent else [], "stall"))
    client = connected(account.port)
    client.sendall(REQUEST)
    assert upstream.asked.wait(DEADLINE_S)
    read(client, silence_s=1, until=sent[-20:])
    reset(client) if how == "reset" else client.close()
    assert upstream.left.wait(DEADLINE_S), "the provider goes on for nobody"
    [row] = account.wait()
    assert [row["outcome"], row.get("error"), row["completeness"]] == wanted
    assert ("output_tokens" in row) is (row["completeness"] != "none")


UPLOADS = {
    "after the head": ASK % len(QUESTION),
    "in a body of a length": ASK % (1 << 20) + QUESTION + b" " * 9999,
    "in a chunk": ASK.replace(b"content-length: %d", b"transfer-encoding: chunked") + b"ff\r\n{",
    "before the last chunk": ASK.replace(b"content-length: %d", b"transfer-encoding: chunked")
    + chunk(QUESTION),
}  # fmt: skip


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", UPLOADS)
def test_a_client_that_leaves_while_it_asks(account: Account, name: str, how: str) -> None:
    upstream = account.upstream
    upstream.play(Script([], "stall", reads=1))
    client = connected(account.port)
    client.sendall(UPLOADS[name])
    assert upstream.asked.wait(DEADLINE_S)
    reset(client) if how == "reset" else client.close()
    assert upstream.left.wait(DEADLINE_S), "the provider waits for the rest for ever"
    [row] = account.wait()
    assert (row["outcome"], row["error"], row["completeness"]) == (*GONE, "none")


def test_a_client_that_leaves_in_its_own_head_has_asked_for_nothing(account: Account) -> None:
    account.upstream.play(Script())
    for cut in (1, 20, len(ASK) - 6):
        client = connected(account.port)
        client.sendall(REQUEST[:cut])
        client.close()
    assert not account.upstream.asked.wait(0.2)
    assert account.wait(0) == []


# -- keep-alive ---------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_provider_that_closes_between_two_requests(account: Account, end: str) -> None:
    """The client's connection stays; what it asks next goes by a new one."""
    account.upstream.play(Script([ALL + b"0\r\n\r\n"], end))
    with connected(account.port) as client:
        for _ in range(3):
            client.sendall(REQUEST)
            assert read(client, until=b"0\r\n\r\n").got.endswith(b"0\r\n\r\n")
            time.sleep(PAUSE_S * 2)  # the provider closes meanwhile
    assert [row["outcome"] for row in account.wait(3)] == ["complete"] * 3


@pytest.mark.parametrize("end", ["close", "reset"])
def test_after_a_fault_the_next_connection_is_as_good_as_ever(account: Account, end: str) -> None:
    good = Script([ALL + b"0\r\n\r\n"])
    account.upstream.play(Script([BEGUN], end), good, Script([], end), good)
    found = []
    for _ in range(4):
        with connected(account.port) as client:
            client.sendall(REQUEST)
            found.append(read(client, until=b"0\r\n\r\n").got.endswith(b"0\r\n\r\n"))
    assert found[1]
    assert found[3]
    outcomes = [row["outcome"] for row in account.wait(4)]
    assert outcomes == ["truncated", "complete", "error", "complete"]


# -- other ways of speaking -----------------------------------------------------------------

OLD = REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.mark.parametrize("answer", [
    b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + ALL[len(HEAD) :],
    SSE + b"connection: close\r\n\r\n",
], ids=["1.0", "1.1"])  # fmt: skip
def test_a_client_of_http_1_0(account: Account, answer: bytes) -> None:
    answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + EVENTS
    account.upstream.play(Script([answer]))
    with connected(account.port) as client:
        client.sendall(OLD)
        seen = read(client)
    assert seen.end == "end"
    assert seen.got.partition(b"\r\n\r\n")[2] == EVENTS
    [row] = account.wait()
    assert (row["outcome"], row["output_tokens"]) == ("complete", 42)


EXPECTS = ASK.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n") % len(QUESTION)


@pytest.mark.parametrize(("answer", "outcome"), [
    (b"HTTP/1.1 100 Continue\r\n\r\n" + ALL + b"0\r\n\r\n", "complete"),
    (ALL + b"0\r\n\r\n", "complete"),
    (b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n", "error"),
    (b"HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n", "error"),
], ids=["100", "at once", "417", "429"])  # fmt: skip
def test_a_client_that_expects_100(account: Account, answer: bytes, outcome: str) -> None:
    """It sends its body when it is told to, and gets the final answer whatever comes before."""
    account.upstream.play(Script([answer], reads=1))
    with connected(account.port) as client:
        client.sendall(EXPECTS)
        client.settimeout(DEADLINE_S)
        got = b""
        while b"\r\n\r\n" not in got:
            got += client.recv(65536)
        if got.startswith(b"HTTP/1.1 100 "):
            client.sendall(QUESTION)
        got += read(client, silence_s=1, until=b"0\r\n\r\n").got
    final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert final.partition(b"\r\n")[0] in got
    [row] = account.wait()
    assert row["outcome"] == outcome
