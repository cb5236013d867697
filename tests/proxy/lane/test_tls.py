"""TLS over memory: what is said comes out, however the network cuts it."""

from __future__ import annotations

import http.client
import json
import ssl
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_tunnels import HOST
from tests.wire.strategies import chunked, cuts
from tokenproxy.proxy.lane.tls import Tls
from tokenproxy.proxy.lane.upstream import Upstream
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

RECORD = 16 * 1024


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and a client's that trusts anybody."""
    with TemporaryDirectory() as directory:
        server = tls.throwaway(Path(directory)).context()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def pair() -> tuple[Tls, Tls]:
    """Two ends whose handshake is done."""
    server = Tls(contexts()[0], server_side=True)
    client = Tls(contexts()[1], server_side=False)
    said = b""
    while not (server.established and client.established):
        assert client.open(said) == b""
        assert server.open(client.outgoing()) == b""
        said = server.outgoing()
    assert client.open(said) == b""
    return server, client


@given(
    st.lists(
        st.sampled_from([1, 200, 479, 480, 958, RECORD - 1, RECORD, RECORD + 1, 70_000]), max_size=4
    ),
    st.booleans(),
    st.data(),
)
def test_what_is_sealed_opens_however_it_is_cut(
    sizes: list[int], ends: bool, data: st.DataObject
) -> None:
    server, client = pair()
    told = [bytes([number]) * size for number, size in enumerate(sizes)]
    wire = b"".join(map(server.seal, told)) + (server.farewell() if ends else b"")
    pieces = chunked(wire, data.draw(cuts(len(wire))))
    assert b"".join(map(client.open, pieces)) == b"".join(told)
    assert client.ended == ends


def test_what_is_well_comes_out_before_a_fault_is_told() -> None:
    server, client = pair()
    wire = server.seal(b"well") + b"\x17\x03\x03\x00\x20" + bytes(32)
    assert client.open(wire) == b"well"
    with pytest.raises(ssl.SSLError):
        client.open(b"")


def test_a_connections_session_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssl copies it each time, and with it all certificates."""
    asked: list[object] = []
    session = Upstream.__dict__["session"].fget

    def noted(upstream: Upstream) -> object:
        asked.append(upstream)
        return session(upstream)

    monkeypatch.setattr(Upstream, "session", property(noted))
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("plain", tls=leaf.context()) as sim,
        Proxy(routes={HOST: f"https://127.0.0.1:{sim.port}"}, upstream_ca=str(leaf.ca)) as proxy,
    ):
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        for _ in range(3):
            client.request("POST", "/v1/messages", json.dumps(BODY))
            assert client.getresponse().read()
        client.close()
        proxy.recorder.wait(3)
    assert len(asked) == 1
