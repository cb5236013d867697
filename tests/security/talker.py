"""A provider, a user's proxy and a collector that know secrets, for :mod:`test_canaries`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.security.canaries import CANARIES

USAGE: dict[str, Any] = {"input_tokens": 11, "output_tokens": 7}
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": CANARIES["thinking"], "signature": CANARIES["thinking"]},
    {"type": "text", "text": f"It is {CANARIES['answer']}."},
    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"c": CANARIES["toolinput"]}},
]
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5",
    "content": CONTENT, "stop_reason": "tool_use", "usage": USAGE,
}  # fmt: skip
CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": CANARIES["answer"]}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": CONTENT[1]},
    {"type": "content_block_delta", "index": 0,
     "delta": {"type": "text_delta", "text": CANARIES["answer"]}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
    {"type": "message_stop"},
]  # fmt: skip


class Provider(BaseHTTPRequestHandler):
    """Answers as the header ``x-do`` says, with words that are nobody else's business."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        what = self.headers.get("x-do", "plain")
        if what == "refuse":
            said = f"Incorrect API key: {self.path} {self.headers} {sent.decode(errors='replace')}"
            error = {"type": "invalid_request_error", "code": "x", "message": said}
            self.answer(401, json.dumps({"type": "error", "error": error}).encode())
        elif what == "html":
            self.answer(502, f"<p>{CANARIES['answer']} {self.path}".encode(), "text/html")
        elif what == "garbage":
            self.answer(200, b'{"id": "' + CANARIES["answer"].encode() + b"\xff\xfe", "text/x")
        elif what in ("stream", "cut", "stall", "broken"):
            self.stream(what)
        else:
            wanted = CHAT if "chat" in self.path else MESSAGE
            self.answer(200, json.dumps(wanted).encode())

    do_GET = do_POST  # noqa: N815 - the name that the base looks for

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("set-cookie", f"sid={CANARIES['setcookie']}; Secure")
        self.send_header("request-id", "req_1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, what: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("set-cookie", f"sid={CANARIES['setcookie']}")
        self.send_header("connection", "close")
        self.end_headers()
        for event in EVENTS:
            data = json.dumps(event)
            if what == "broken" and event["type"] == "content_block_delta":
                data = data[:-9]
            self.wfile.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
            self.wfile.flush()
            if what == "cut" and event["type"] == "content_block_delta":
                break
            if what == "stall" and event["type"] == "content_block_delta":
                self.server.over.wait(20)  # type: ignore[attr-defined] # ours
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Not on the test's stderr."""


class Refuser(Provider):
    """A user's proxy that wants another password."""

    def do_CONNECT(self) -> None:
        self.send_response(407)
        self.send_header("proxy-authenticate", f'Basic realm="{self.headers}"'.replace("\n", " "))
        self.send_header("content-length", "0")
        self.end_headers()


class Collector(Provider):
    """Takes OTLP and keeps what it gets, as it came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((str(self.headers), body))  # type: ignore[attr-defined] # ours
        self.answer(200, b"", "application/x-protobuf")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """A server on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.taken = []  # type: ignore[attr-defined] # for the collector
        server.over = threading.Event()  # type: ignore[attr-defined] # for who stalls
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.over.set()  # type: ignore[attr-defined] # as above
        server.shutdown()
