"""One chat completion by each of Python's HTTP libraries; prints what its usage says."""

import asyncio
import json
import sys
import urllib.request
from typing import Any

URL = "https://api.openai.com/v1/chat/completions"
BODY: dict[str, Any] = {
    "model": "gpt-6-sol",
    "messages": [{"role": "user", "content": "Say hello."}],
}


def httpx(*, http2: bool = False) -> Any:
    import httpx as library  # type: ignore[import-not-found] # not in our environment

    with library.Client(http2=http2) as client:
        return client.post(URL, json=BODY).json()


def httpx_http2() -> Any:
    return httpx(http2=True)


def requests() -> Any:
    import requests as library

    return library.post(URL, json=BODY, timeout=30).json()


def urllib_request() -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(URL, json.dumps(BODY).encode(), headers)
    with urllib.request.urlopen(request) as response:  # noqa: S310 - a constant's scheme
        return json.loads(response.read())


def aiohttp() -> Any:
    import aiohttp as library  # type: ignore[import-not-found,unused-ignore] # not in our environment

    async def post() -> Any:
        async with (
            library.ClientSession(trust_env=True) as session,
            session.post(URL, json=BODY) as response,
        ):
            return await response.json()

    return asyncio.run(post())


LIBRARIES = {
    "httpx": httpx,
    "httpx_http2": httpx_http2,
    "requests": requests,
    "urllib": urllib_request,
    "aiohttp": aiohttp,
}

if __name__ == "__main__":
    answer = LIBRARIES[sys.argv[1]]()
    usage = answer["usage"]
    columns = {
        "response_id": answer["id"],
        "input_tokens": usage["prompt_tokens"],
        "cache_read_input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "output_tokens": usage["completion_tokens"],
        "success": True,
    }
    print(json.dumps(columns))  # noqa: T201 - the program's output
