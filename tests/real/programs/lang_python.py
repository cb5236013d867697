"""Python's HTTP clients: one call with the client that is named, and its answer as it came."""

import asyncio
import sys
import urllib.request

HEADERS = {"Authorization": "Bearer sk-test-000", "Content-Type": "application/json"}


def urllib_(url: str, body: bytes) -> str:
    request = urllib.request.Request(url, data=body, headers=HEADERS)  # noqa: S310 - https
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
        return str(answer.read().decode())


def requests(url: str, body: bytes) -> str:
    import requests as library

    return library.post(url, data=body, headers=HEADERS, timeout=30).text


def httpx(url: str, body: bytes) -> str:
    import httpx as library  # type: ignore[import-not-found] # in an environment of its own

    return str(library.post(url, content=body, headers=HEADERS, timeout=30).text)


def httpx_http2(url: str, body: bytes) -> str:
    import httpx as library

    with library.Client(http2=True) as client:
        answer = client.post(url, content=body, headers=HEADERS, timeout=30)
    assert answer.http_version == "HTTP/2"
    return str(answer.text)


def aiohttp(url: str, body: bytes, *, trust_env: bool = False) -> str:
    import aiohttp as library  # type: ignore[import-not-found] # likewise

    async def post() -> str:
        async with (
            library.ClientSession(trust_env=trust_env) as session,
            session.post(url, data=body, headers=HEADERS) as answer,
        ):
            return str(await answer.text())

    return asyncio.run(post())


def aiohttp_trust_env(url: str, body: bytes) -> str:
    return aiohttp(url, body, trust_env=True)


if __name__ == "__main__":
    name, to, asked = sys.argv[1:]
    print(globals()[name](to, asked.encode()))  # noqa: T201 - the program's output
