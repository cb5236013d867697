"""A small agent: what ``tokenproxy demo`` wraps. ``python -m tokenproxy.simulator.agent``.

It reaches its API as real SDKs do (``ANTHROPIC_BASE_URL``; or ``HTTPS_PROXY``
and ``SSL_CERT_FILE`` on the way to https://api.anthropic.com), sends the
headers that Claude Code sends, and works with nothing but the standard
library. The tools it "runs" only take a little time.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import sys
import time
import urllib.parse
import urllib.request
import uuid
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MODEL = "claude-opus-5-5"
SMALL_MODEL = "claude-haiku-4-5"
SUBAGENT_MODEL = "claude-sonnet-5-5"
ATTEMPTS = 4
TIMEOUT_S = 30
TOOL_SECONDS = {"Bash": 0.14, "Read": 0.01, "Grep": 0.04, "Edit": 0.02}
TOOL_RESULTS = {
    "Bash": "1 failed, 41 passed\nE  assert Decimal('2.67') == Decimal('2.68')",
    "Read": "def round_price(value): return round(value, 2)",
    "Grep": "shop/cart.py:18\nshop/invoice.py:44",
    "Edit": "shop/cart.py: 1 line changed",
}
TOOLS = [
    {"name": name, "description": name, "input_schema": {"type": "object"}}
    for name in (*TOOL_RESULTS, "Agent")
]


class CallFailedError(Exception):
    """The API could not be reached or refused; the text is one sentence."""


class Api:
    """The Messages API, wherever the environment says it is."""

    def __init__(self) -> None:
        base = os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        self._base = urllib.parse.urlsplit(base)
        self._proxies = urllib.request.getproxies_environment()
        self.session_id = str(uuid.uuid4())
        self.prompt_id = str(uuid.uuid4())

    def ask(self, body: Json, headers: dict[str, str], note: str) -> Json:
        """Send ``body``, again while the API is overloaded; the whole message."""
        for attempt in range(ATTEMPTS):
            status, retry_after_s, message = self._attempt(body, headers, attempt)
            if status == http.client.OK:
                return message
            kind = message.get("error", {}).get("type", f"status {status}")
            if status < http.client.INTERNAL_SERVER_ERROR or attempt + 1 == ATTEMPTS:
                raise CallFailedError(f"the API refused: {kind}")
            say(f"{note} the API says {kind}, trying again in {retry_after_s * 1000:.0f} ms")
            time.sleep(retry_after_s)
        raise AssertionError("unreachable")

    def _attempt(
        self, body: Json, headers: dict[str, str], attempt: int
    ) -> tuple[int, float, Json]:
        connection = self._connect()
        try:
            path = self._base.path.rstrip("/") + "/v1/messages?beta=true"
            data = json.dumps(body | {"metadata": {"user_id": self._user_id()}}).encode()
            connection.request("POST", path, data, self._headers(attempt) | headers)
            response = connection.getresponse()
            retry_after_s = float(response.headers.get("retry-after-ms", "500")) / 1000
            if "text/event-stream" in response.headers.get("content-type", ""):
                return response.status, retry_after_s, assemble(events(chunks(response)))
            return response.status, retry_after_s, json.loads(b"".join(chunks(response)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CallFailedError(f"no answer from {self._base.netloc}: {error}") from error
        finally:
            connection.close()

    def _headers(self, attempt: int) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "sample-agent/1.0",
            "X-Claude-Code-Session-Id": self.session_id,
            "X-Stainless-Retry-Count": str(attempt),
            "anthropic-version": "2023-06-01",
            "x-api-key": os.environ.get("ANTHROPIC_API_KEY", "sk-ant-simulated"),
            "x-claude-code-prompt-id": self.prompt_id,
            "x-client-request-id": str(uuid.uuid4()),
        }
        trace_id = os.environ.get("TRACEPARENT", "").split("-")[1:2]
        if trace_id:
            headers["traceparent"] = f"00-{trace_id[0]}-{os.urandom(8).hex()}-01"
        return headers

    def _user_id(self) -> str:
        return json.dumps(
            {"device_id": "0" * 64, "account_uuid": "", "session_id": self.session_id}
        )

    def _connect(self) -> http.client.HTTPConnection:
        host = self._base.hostname or ""
        if self._base.scheme == "http":
            return http.client.HTTPConnection(host, self._base.port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
        proxy = urllib.parse.urlsplit(self._proxies.get("https", ""))
        if not proxy.hostname or urllib.request.proxy_bypass(host):
            port = self._base.port or http.client.HTTPS_PORT
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        connection = http.client.HTTPSConnection(
            proxy.hostname, proxy.port, timeout=TIMEOUT_S, context=context
        )
        credentials = {}
        if proxy.username is not None:
            user = urllib.parse.unquote(f"{proxy.username}:{proxy.password or ''}")
            credentials["Proxy-Authorization"] = "Basic " + b64encode(user.encode()).decode()
        connection.set_tunnel(host, self._base.port, credentials)
        return connection


def chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The decoded body, as it arrives."""
    gzipped = response.headers.get("content-encoding") == "gzip"
    inflate = zlib.decompressobj(wbits=31) if gzipped else None
    while data := response.read1():
        yield inflate.decompress(data) if inflate else data


def events(body: Iterator[bytes]) -> Iterator[Json]:
    """The data of each server-sent event."""
    rest = b""
    for data in body:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def assemble(stream: Iterator[Json]) -> Json:
    """The message that a stream describes; ValueError if it breaks off."""
    message: Json = {"content": []}
    for event in stream:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"] | {"arguments": ""})
            case "content_block_delta":
                grow(message["content"][-1], event["delta"])
            case "content_block_stop":
                block = message["content"][-1]
                arguments = block.pop("arguments")
                if arguments:
                    block["input"] = json.loads(arguments)
            case "message_delta":
                message["usage"].update(event["usage"])
            case "message_stop":
                return message
            case "error":
                raise ValueError(event["error"]["message"])
    raise ValueError("the stream broke off")


def grow(block: Json, delta: Json) -> None:
    """Add to ``block`` what ``delta`` brings."""
    block["arguments"] += delta.get("partial_json", "")
    for key in ("text", "thinking", "signature"):
        if key in delta:
            block[key] += delta[key]


class Agent:
    """A conversation with tools, main or sub."""

    def __init__(self, api: Api, prompt: str, *, agent_type: str | None = None) -> None:
        self._api = api
        self._depth = 0 if agent_type is None else 1
        self._model = MODEL if agent_type is None else SUBAGENT_MODEL
        self._messages: list[Json] = [{"role": "user", "content": prompt}]
        self._headers = {"x-claude-code-request-class": "main"}
        if agent_type is not None:
            self._headers = {
                "x-claude-code-request-class": "subagent",
                "x-claude-code-agent-id": "a" + os.urandom(8).hex(),
                "x-claude-code-agent-type": agent_type,
            }

    def run(self) -> str:
        """Talk and run tools until the model asks for none; its last words."""
        headers = self._headers
        note = "   " * self._depth + " ·"
        while True:
            body = {
                "model": self._model,
                "max_tokens": 32_000,
                "stream": True,
                "tools": TOOLS,
                "messages": self._messages,
            }
            message = self._api.ask(body, headers, note)
            words = "".join(b["text"] for b in message["content"] if b["type"] == "text")
            asked = [block for block in message["content"] if block["type"] == "tool_use"]
            if words:
                say(f"{note} {words}")
            if not asked:
                return words
            self._messages.append({"role": "assistant", "content": message["content"]})
            results, durations = [], []
            for block in asked:
                started = time.monotonic()
                results.append(self._tool_result(block, note))
                elapsed_ms = (time.monotonic() - started) * 1000
                durations.append(f"{block['name']}={elapsed_ms:.0f}")
            self._messages.append({"role": "user", "content": results})
            headers = self._headers | {"x-claude-code-prev-tool-durations": ";".join(durations)}

    def _tool_result(self, block: Json, note: str) -> Json:
        name, arguments = block["name"], block["input"]
        say(f"{note} {name}({next(iter(arguments.values()), '')})")
        if name == "Agent":
            prompt, agent_type = arguments["prompt"], arguments["subagent_type"]
            result = Agent(self._api, prompt, agent_type=agent_type).run()
        else:
            time.sleep(TOOL_SECONDS.get(name, 0.05))
            result = TOOL_RESULTS.get(name, "")
        return {"type": "tool_result", "tool_use_id": block["id"], "content": result}


def say(line: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do the piece of work; the exit status."""
    prompt = "Fix the failing test in shop/cart.py"
    say(f"agent: {prompt}")
    api = Api()
    try:
        body = {
            "model": SMALL_MODEL,
            "max_tokens": 256,
            "messages": [{"role": "user", "content": f"Name this session: {prompt}"}],
        }
        titled = api.ask(body, {"x-claude-code-request-class": "auxiliary"}, " ·")
        say(f" · session: {json.loads(titled['content'][0]['text'])['title']}")
        Agent(api, prompt).run()
    except CallFailedError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 1
    say("agent: done")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    sys.exit(main())
