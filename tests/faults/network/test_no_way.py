"""Providers that cannot be reached, each with one row: no name, no port, no TLS, no HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.network.scene import (
    DEADLINE_S,
    Script,
    Upstream,
    accounted,
    connected,
    read,
)
from tests.faults.network.test_upstream import REQUEST
from tokenproxy.simulator import tls

UNREACHABLE = ("error", "upstream_unreachable", "none")
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""TLS: a fatal alert, handshake_failure."""


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
@pytest.mark.parametrize("url", ["http://nowhere.invalid", "http://127.0.0.1:1", "http://[::1]:1"])
def test_nobody_is_there(tmp_path: Path, url: str, lane: bool) -> None:
    with Upstream() as upstream:
        upstream.url = url
        with accounted(tmp_path, upstream, lane=lane) as account, connected(account.port) as client:
            client.sendall(REQUEST)
            seen = read(client)
            [row] = account.wait()
            assert seen.end != "silence"
    assert (row["outcome"], row["error"], row["completeness"]) == UNREACHABLE


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
@pytest.mark.parametrize(
    "script",
    [
        Script([ALERT], reads=1),
        Script([b"HTTP/1.1 400 Bad Request\r\n\r\n"], reads=1),
        Script([b"\x16\x03\x03"], reads=1),
        Script([], "reset", reads=1),
        Script([], reads=1),
    ],
    ids=["alert", "no TLS", "half a hello", "reset", "closed"],
)
def test_a_handshake_that_fails(tmp_path: Path, script: Script, lane: bool) -> None:
    with Upstream([script]) as upstream:
        upstream.url = upstream.url.replace("http:", "https:")
        with accounted(tmp_path, upstream, lane=lane) as account, connected(account.port) as client:
            client.sendall(REQUEST)
            assert read(client).end != "silence"
            [row] = account.wait()
    assert (row["outcome"], row["error"], row["completeness"]) == UNREACHABLE


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
def test_a_certificate_that_nobody_trusts(tmp_path: Path, lane: bool) -> None:
    trust = tls.throwaway(tmp_path).context()
    with (
        Upstream([Script()], trust=trust) as upstream,
        accounted(tmp_path, upstream, lane=lane) as account,
        connected(account.port) as client,
    ):
        client.sendall(REQUEST)
        assert read(client).end != "silence"
        [row] = account.wait()
        assert upstream.requests == [], "nothing is said to who is not trusted"
    assert (row["outcome"], row["error"], row["completeness"]) == UNREACHABLE


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 500 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\xff" * 70_000,
    ],
    ids=["zeros", "SSH", "no status", "no end"],
)
def test_garbage_instead_of_a_head(tmp_path: Path, garbage: bytes, lane: bool) -> None:
    with (
        Upstream([Script([garbage])]) as upstream,
        accounted(tmp_path, upstream, lane=lane) as account,
    ):
        with connected(upstream.port) as client:
            client.sendall(REQUEST)
            direct = read(client)
        with connected(account.port) as client:
            client.sendall(REQUEST)
            seen = read(client)
        [row] = account.wait()
        assert upstream.asked.wait(DEADLINE_S)
    if lane:
        assert seen.got == direct.got
    assert seen.end != "silence"
    assert (row["outcome"], row["completeness"]) == ("error", "none")
