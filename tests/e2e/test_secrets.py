"""No key is kept, wherever an API takes it: header, query, subprotocol, malformed request."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.bench import Bench
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

HEADERS = (
    "authorization: Bearer sk-CANARY-a",
    "proxy-authorization: Basic CANARY-b",
    "x-api-key: sk-ant-CANARY-c",
    "api-key: CANARY-d",
    "x-goog-api-key: AIzaCANARY-e",
    "xi-api-key: CANARY-f",
    "cookie: session=CANARY-g",
    "ocp-apim-subscription-key: CANARY-h",
    "x-amz-security-token: CANARY-i",
)
PATHS = (
    "/anthropic/v1/messages?key=CANARY-j",
    "/openai/v1/chat/completions?api_key=CANARY-k",
    "/openai/v1/responses?api-key=CANARY-l",
    "/google/v1beta/models/gemini-3-flash-preview:generateContent?key=AIzaCANARY-m",
    "/google/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse&key=AIzaCANARY-n",
    "/deepseek/chat/completions?access_token=CANARY-o",
    "/azure/openai/deployments/gpt/chat/completions?api-version=1&api-key=CANARY-p",
    "/openai/v1/models?key=CANARY-q",
    "/nowhere/at/all?key=CANARY-r",
)
LIVE = "/google/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SOCKETS = (
    "/openai/v1/responses?api-key=CANARY-s",
    "/openai/v1/realtime?model=gpt-realtime&api-key=CANARY-t",
    LIVE + "?key=AIzaCANARY-u",
)
MALFORMED = (
    "POST /anthropic/v1/messages?key=CANARY-v HTTP/9.9\r\n\r\n",
    "POST /anthropic/v1/messages HTTP/1.1\r\nx-api-key CANARY-w\r\n\r\n",
    "POST /anthropic/v1/messages HTTP/1.1\r\nx-api-key: CANARY-x\r\ncontent-length: no\r\n\r\n",
    "POST /anthropic/v1/messages?key=CANARY-y\r\n\r\n",
    "CONNECT CANARY-z:none HTTP/1.1\r\n\r\n",
)
AGENT = """
import json, os, socket, sys
from urllib.parse import urlsplit
port = urlsplit(os.environ["ANTHROPIC_BASE_URL"]).port
headers, posts, sockets, malformed = json.loads(sys.argv[1])
def send(text):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.settimeout(1)
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
lines = "".join(line + "\\r\\n" for line in ["host: x", *headers])
body = json.dumps({"model": "m", "stream": True, "messages": [], "input": "x"})
for path in posts:
    send(f"POST {path} HTTP/1.1\\r\\n{lines}connection: close\\r\\n"
         f"content-type: application/json\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n{body}")
for path in sockets:
    send(f"GET {path} HTTP/1.1\\r\\n{lines}connection: Upgrade\\r\\nupgrade: websocket\\r\\n"
         "sec-websocket-version: 13\\r\\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n"
         "sec-websocket-protocol: realtime, openai-insecure-api-key.sk-CANARY-0\\r\\n\\r\\n")
for text in malformed:
    send(text)
# The journal and the proxy's log are gone when the run is over.
for place, _, names in os.walk(os.environ["HOME"]):
    for name in names:
        with open(os.path.join(place, name), "rb") as file:
            if b"CANARY" in file.read():
                print(place, name)
"""


class Echo(BaseHTTPRequestHandler):
    """Refuses, and says what it was sent: in the message, in a header, in what is no JSON."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        said = f"{self.path} {self.headers}"
        error = {"message": f"Incorrect API key provided: {said}", "type": "invalid_request_error"}
        body = json.dumps({"type": "error", "error": error}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("x-debug", said.partition("\n")[0])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the name that the base looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Not on the test's stderr."""


@pytest.fixture
def echo() -> Iterator[str]:
    """The base URL of a server that refuses everything."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def variables(url: str) -> dict[str, str]:
    """Every provider's calls go to one server."""
    return {
        "ANTHROPIC_BASE_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "GOOGLE_GEMINI_BASE_URL": url,
        "DEEPSEEK_BASE_URL": url,
        "AZURE_OPENAI_ENDPOINT": url,
    }


def check(bench: Bench, url: str) -> int:
    """Run the agent; how many rows it left."""
    words = json.dumps([HEADERS, PATHS, SOCKETS, MALFORMED])
    with OtlpReceiver("http") as receiver:
        run = bench.tokenproxy(
            "run", "--mode", "reverse", "--", sys.executable, "-c", AGENT, words,
            env={**variables(url), "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint},
        )  # fmt: skip
        told = repr(receiver.spans)
    assert run.returncode == 0, run.stderr
    assert run.stdout == b""
    for path in bench.root.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes(), path
    assert b"CANARY" not in run.stderr
    assert "CANARY" not in told
    assert "server.address" in told
    return len(bench.rows())


def test_of_calls_that_succeed(bench: Bench) -> None:
    with Simulator("plain") as sim:
        assert check(bench, sim.url) >= len(PATHS) - 2


def test_of_calls_that_are_refused(bench: Bench, echo: str) -> None:
    assert check(bench, echo) >= len(PATHS) - 2 + len(SOCKETS)
