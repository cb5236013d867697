"""One chat completion by each of Python's HTTP libraries; prints what its usage says.

Arguments: the library and, if it is not to be OpenAI's, the URL.
"""

import asyncio
import io
import json
import sys
import urllib.request
from typing import Any

URL = [*sys.argv, "https://api.openai.com/v1/chat/completions"][2]
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
    request = urllib.request.Request(URL, json.dumps(BODY).encode(), headers)  # noqa: S310 - https
    with urllib.request.urlopen(request) as response:  # noqa: S310 - likewise
        return json.loads(response.read())


def httplib2() -> Any:
    """It goes through a proxy only where PySocks is installed."""
    import httplib2 as library  # type: ignore[import-untyped] # not in our environment

    headers = {"content-type": "application/json"}
    _, content = library.Http().request(URL, "POST", json.dumps(BODY), headers)
    return json.loads(content)


def pycurl() -> Any:
    import pycurl as library  # type: ignore[import-untyped] # not in our environment

    answer = io.BytesIO()
    curl = library.Curl()
    curl.setopt(library.URL, URL)
    curl.setopt(library.HTTPHEADER, ["content-type: application/json"])
    curl.setopt(library.POSTFIELDS, json.dumps(BODY))
    curl.setopt(library.WRITEDATA, answer)
    curl.perform()
    return json.loads(answer.getvalue())


def aiohttp(*, trust_env: bool = True) -> Any:
    import aiohttp as library  # type: ignore[import-not-found,unused-ignore] # not in our environment

    async def post() -> Any:
        async with (
            library.ClientSession(trust_env=trust_env) as session,
            session.post(URL, json=BODY) as response,
        ):
            return await response.json()

    return asyncio.run(post())


def aiohttp_by_itself() -> Any:
    return aiohttp(trust_env=False)


LIBRARIES = {
    "httpx": httpx,
    "httpx_http2": httpx_http2,
    "requests": requests,
    "urllib": urllib_request,
    "httplib2": httplib2,
    "pycurl": pycurl,
    "aiohttp": aiohttp,
    "aiohttp_by_itself": aiohttp_by_itself,
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
