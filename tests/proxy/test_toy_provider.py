"""A provider is one dialect and one entry of the table: nothing else is told of it."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.proxy.harness import RUN, Proxy
from tokenproxy.launch.environment import for_child
from tokenproxy.launch.plan import make_plan
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.endpoints import Endpoint, Provider
from tokenproxy.wire.providers import PROVIDERS
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, UsagePart


class ToyDialect:
    """The whole answer is two numbers: tokens in and out."""

    name = "toy.counts"

    def read_request(self, body: bytes) -> RequestFacts:
        return RequestFacts(malformed=not body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        return ResponseFacts(request_id=headers.get("x-toy"))

    def open_response(self, head: Head) -> ResponseParser:
        return ToyParser(head.model)


class ToyParser:
    def __init__(self, model: str | None) -> None:
        self.reading = Reading(model=model)
        self._body = b""

    def feed(self, data: bytes) -> bool:
        self._body += data
        return False

    def close(self) -> None:
        inputs, outputs = map(int, self._body.split())
        self.reading.parts = (UsagePart(uncached_input_tokens=inputs, output_tokens=outputs),)
        self.reading.completeness, self.reading.ended = "final", True

    def take_items(self) -> list[Reading]:
        return []


ENTRY = Provider(
    name="toy",
    hosts=("api.toy.example",),
    base_url="https://api.toy.example",
    base_url_env="TOY_BASE_URL",
    endpoints=(Endpoint("POST", "/models/{model}/ask", ToyDialect()),),
)


class ToyApi(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("x-toy", "r-1")
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"40 2\n")

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.mark.parametrize("forward", [True, False])
def test_its_call_is_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forward: bool
) -> None:
    monkeypatch.setitem(PROVIDERS, "toy", ENTRY)
    ledger = tmp_path / "ledger.jsonl"
    recorder = Recorder(run=RUN, ledger=ledger, journal=tmp_path / "journal")
    recorder.start()
    api = HTTPServer(("127.0.0.1", 0), ToyApi)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{api.server_port}"
    plan = make_plan("forward" if forward else "reverse", {}, {})
    assert ("api.toy.example" in plan.hosts) is forward
    hosts, routes = ("api.toy.example",), {"api.toy.example": url}
    with Proxy(hosts=hosts, routes=routes, recorder=recorder) as proxy:
        if forward:
            trusted = ssl.create_default_context(cadata=proxy.ca_pem)
            client: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", proxy.port, context=trusted
            )
            client.set_tunnel("api.toy.example")
            base = ""
        else:
            told = for_child({}, plan, RUN, port=proxy.port, trust={})["TOY_BASE_URL"]
            base = told.removeprefix(proxy.url)
            client = http.client.HTTPConnection("127.0.0.1", proxy.port)
        client.request("POST", f"{base}/models/t-1/ask", b"How many?")
        assert client.getresponse().read() == b"40 2\n"
        client.close()
    recorder.finish(None)
    api.shutdown()
    api.server_close()
    row = json.loads(ledger.read_bytes())
    assert (row["provider"], row["model"], row["requested_model"]) == ("toy", "t-1", "t-1")
    assert (row["input_tokens"], row["output_tokens"], row["outcome"]) == (40, 2, "complete")
    assert row["request_id"] == "r-1"
