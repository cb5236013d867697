"""What we lift of mitmproxy's limits."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tokenproxy.proxy.engine import Engine
from tokenproxy.simulator.server import Simulator

STREAMS = 8


def test_one_http2_connection_may_have_more_than_five_calls_open(tmp_path: Path) -> None:
    with Simulator("stall") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        ca = tmp_path / "ca.pem"
        ca.write_text(proxy.ca_pem)
        words = ["curl", "-sS", "--http2", "-Z", "-m", "3", "-x", proxy.url, "--cacert", str(ca)]
        data = ["-d", json.dumps({**BODY, "stream": True})]
        url = "https://api.anthropic.com/v1/messages"
        targets = [word for _ in range(STREAMS) for word in ("-o", "/dev/null", url)]
        client = subprocess.Popen([*words, *data, *targets], stderr=subprocess.DEVNULL)
        sim.wait_for(lambda s: len(s.calls) == STREAMS, 3)
        client.kill()
        client.wait()


def test_a_silence_of_hours_is_not_the_end_of_a_connection() -> None:
    async def idle_limit_s() -> int:
        return int(Engine([]).options.tcp_timeout)

    assert asyncio.run(idle_limit_s()) >= 24 * 3600


def test_only_what_is_used_is_imported() -> None:
    """mitmproxy's whole addon package would cost every run 0.4 s."""
    code = (
        "import sys, tokenproxy.proxy.other_way; "
        "print([m for m in ('flask', 'ldap3', 'tornado', 'urwid') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_mitmproxy_itself_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, tokenproxy.proxy.process, tokenproxy.proxy.gateway; "
        "print([m for m in ('mitmproxy', 'OpenSSL', 'h11') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
