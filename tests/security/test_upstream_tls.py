"""Providers are verified, always, on both ways through the proxy."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Case:
    host: str
    """As which the provider is addressed."""
    trusted: bool
    """Whether its authority is."""
    shifted: dt.timedelta
    """Its certificate's time, from the one that would be right."""


CASES = {
    "an authority that nobody trusts": Case("127.0.0.1", trusted=False, shifted=dt.timedelta()),
    "another host's": Case("localhost", trusted=True, shifted=dt.timedelta()),
    "expired": Case("127.0.0.1", trusted=True, shifted=dt.timedelta(days=-30)),
    "not valid yet": Case("127.0.0.1", trusted=True, shifted=dt.timedelta(days=30)),
}
WELL = Case("127.0.0.1", trusted=True, shifted=dt.timedelta())


class Shifted(dt.datetime):
    """The time at which certificates are made."""

    by = dt.timedelta()

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override] # a plain one will do
        return dt.datetime.fromtimestamp((NOW + cls.by).timestamp(), tz)


def ask(proxy: Proxy, way: str) -> int | None:
    """The status of a call; None if there was no answer."""
    if way == "reverse":
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    else:
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        client = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=20, context=context)
        client.set_tunnel("api.anthropic.com", 443)
    client.request("POST", "/v1/messages", json.dumps(BODY), {"x-api-key": "sk-secret"})
    try:
        answer = client.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    answer.read()
    return answer.status


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
@pytest.mark.parametrize("way", ["forward", "reverse"])
@pytest.mark.parametrize("case", [*CASES.values(), WELL], ids=[*CASES, "well"])
def test_a_certificate(
    case: Case,
    way: str,
    lane: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Shifted, "by", case.shifted)
    shifted = SimpleNamespace(datetime=Shifted, UTC=dt.UTC)
    monkeypatch.setattr(tls, "dt", shifted)
    certificates = tls.throwaway(tmp_path)
    monkeypatch.undo()
    ca = str(certificates.ca) if case.trusted else None
    with Simulator("plain", tls=certificates.context()) as sim:
        url = f"https://{case.host}:{sim.port}"
        with Proxy(routes={"api.anthropic.com": url}, upstream_ca=ca, lane=lane) as proxy:
            status = ask(proxy, way)
            ((_, end),) = proxy.recorder.wait()
            if case is WELL:
                assert (status, end.outcome) == (200, "complete")
                return
            assert status is None, "as the client would have found it itself: no connection"
            assert (end.outcome, end.error) == ("error", "upstream_unreachable")
            [sentence] = proxy.warnings
            assert "ertificate verify failed" in sentence
            assert "api.anthropic.com" in sentence
        assert sim.requests == [], "it has not seen the key"
