"""``--inject-include-usage``, the one place where bytes are changed, and only if it is asked for.

The request is held until it is whole, gains the option, and asks for an answer
without content-encoding; the answer's extra chunk is taken out. What was asked
for and what came are read as if nothing had been changed.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http

from tokenproxy.wire.openai.include_usage import ExtraChunkRemover, ask_for_usage


def inject(request: http.Request) -> bool:
    """Ask for the usage in a request that came whole; False if it must stay as it is."""
    if request.headers.get("content-encoding"):
        return False
    asked = ask_for_usage(request.raw_content or b"")
    if asked is None:
        return False
    request.content = asked
    request.headers["accept-encoding"] = "identity"
    return True


def removes_from(response: http.Response) -> bool:
    """Whether the extra chunk can be taken out: an event stream as it is, of no stated length."""
    headers = response.headers
    return (
        "event-stream" in headers.get("content-type", "")
        and headers.get("content-encoding", "identity") == "identity"
        and "content-length" not in headers
    )


def without_extra_chunk(read: Callable[[bytes], bytes]) -> Callable[[bytes], list[bytes]]:
    """A stream callback that hands everything to ``read`` and passes on all but that chunk."""
    remover = ExtraChunkRemover()

    def relay(data: bytes) -> list[bytes]:
        read(data)
        # An empty piece means that the body is over (and would say so to an HTTP/1 client).
        passed = remover.feed(data) if data else remover.close()
        return [passed] if passed else []

    return relay
