"""WebSockets that are closed, by either side, in every way: each sees what it sees without us."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from tests.faults.network.scene import (
    DEADLINE_S,
    Account,
    Script,
    Seen,
    Upstream,
    accounted,
    connected,
    read,
    reset,
)
from tests.proxy.lane.sockets import AGREED, ANSWER, ASKS, BEGUN, HOST, MASK, asking
from tests.wire.framing.test_websocket import CLOSE, FINAL, TEXT, frame

AGREES = AGREED % b""
BEGINS = frame(FINAL | TEXT, json.dumps(BEGUN).encode())
CODES = {
    "1000": struct.pack(">H", 1000),
    "1001": struct.pack(">H", 1001) + b"going away",
    "1011": struct.pack(">H", 1011) + b"oh",
    "4008": struct.pack(">H", 4008) + "\N{SNOWMAN}".encode(),
    "no code": b"",
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """In the lane: what mitmproxy makes of closes is held in tests/proxy/test_websocket.py."""
    directory = tmp_path_factory.mktemp("account")
    with (
        Upstream() as upstream,
        accounted(directory, upstream, host=HOST) as standing,
    ):
        yield standing


def ask(port: int) -> Seen:
    with connected(port) as client:
        client.sendall(asking() + ASKS)
        return read(client, silence_s=3)


@pytest.mark.parametrize("answered", [True, False], ids=["after", "within"])
@pytest.mark.parametrize("code", [*CODES, "1006 by reset", "1006 by an end"])
def test_a_provider_that_closes(account: Account, code: str, answered: bool) -> None:
    sent = ANSWER if answered else BEGINS
    if code in CODES:
        sent += frame(FINAL | CLOSE, CODES[code])
    script = Script([sent], "reset" if "reset" in code else "close", until=ASKS, agrees=AGREES)
    account.upstream.play(script)
    direct, seen = ask(account.upstream.port), ask(account.port)
    assert seen == direct
    [row] = account.wait()
    if answered:
        assert (row["outcome"], row["completeness"]) == ("complete", "final")
        assert row["output_tokens"] == 42
    else:
        refused = code in ("1011", "4008")
        error = f"websocket_{code}" if refused else "upstream_disconnected"
        assert (row["outcome"], row["error"]) == ("error" if refused else "truncated", error)
        assert row["completeness"] == "none"


@pytest.mark.parametrize("answered", [True, False], ids=["after", "within"])
@pytest.mark.parametrize("code", [*CODES, "1006 by reset", "1006 by an end"])
def test_a_client_that_closes(account: Account, code: str, answered: bool) -> None:
    upstream = account.upstream
    heard = []
    for port in (upstream.port, account.port):
        upstream.play(Script([ANSWER if answered else BEGINS], "stall", until=ASKS, agrees=AGREES))
        client = connected(port)
        client.sendall(asking() + ASKS)
        read(client, silence_s=1, until=(ANSWER if answered else BEGINS)[-20:])
        if code in CODES:
            client.sendall(frame(FINAL | CLOSE, CODES[code], MASK))
        reset(client) if "reset" in code else client.close()
        assert upstream.left.wait(DEADLINE_S), "the provider is not told"
        heard.append(upstream.heard)
    direct, through = heard
    assert through == direct
    [row] = account.wait()
    if answered:
        assert (row["outcome"], row["completeness"]) == ("complete", "final")
    else:
        assert (row["outcome"], row["error"]) == ("aborted", "client_disconnected")
