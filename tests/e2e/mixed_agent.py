"""An agent whose one turn asks four providers: plain and streamed, one aborted, one retried.

It knows nothing of tokenproxy: its proxy and trusted certificates come from the
environment, as of any Python program.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit


def ask(who: str) -> list[dict[str, str]]:
    """A conversation of its own for each."""
    return [{"role": "user", "content": f"Say hello, {who}."}]


def post(
    host: str, path: str, body: dict[str, Any], *, lines: int | None = None, **headers: str
) -> tuple[int, bytes]:
    """Status and body; after so many lines, hang up."""
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    client = http.client.HTTPSConnection(
        proxy.hostname or "", proxy.port, context=ssl.create_default_context(), timeout=20
    )
    client.set_tunnel(host)
    client.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
    answer = client.getresponse()
    if lines is None:
        return answer.status, answer.read()
    head = b"".join(answer.readline() for _ in range(lines))
    answer.close()
    client.close()
    return answer.status, head


def main() -> int:
    """Ask all four."""
    claude = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": ask("Claude")}
    gpt = {
        "model": "gpt-6-sol",
        "messages": ask("GPT"),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    gemini = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    seen = [
        post("api.anthropic.com", "/v1/messages", claude)[0],
        post("api.anthropic.com", "/v1/messages", {**claude, "stream": True}, lines=3)[0],
        post("api.openai.com", "/v1/chat/completions", gpt)[0],
        post("api.openai.com", "/v1/chat/completions", gpt)[0],
        post(
            "generativelanguage.googleapis.com",
            "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
            gemini,
        )[0],
        post(
            "api.deepseek.com",
            "/chat/completions",
            {"model": "deepseek-v4-pro", "messages": ask("DeepSeek")},
        )[0],
    ]
    sys.stdout.write(" ".join(map(str, seen)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
