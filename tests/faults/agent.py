"""The command of the fault runs: makes the calls it is told to, and tells what it got.

Run as ``python -I -S agent.py``: the standard library's smallest part, so that it
starts in no time. Orders come on stdin, one JSON object a line; answers go to
stdout in the same way, while an answer comes (``got`` bytes so far) and at its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading

LOCK = threading.Lock()


class Order:
    def __init__(self, given: dict[str, object]) -> None:
        self.id = str(given["id"])
        self.upload = given.get("upload", "whole")
        self.fault = str(given.get("fault", ""))
        body = {
            "model": "claude-opus-5-5",
            "max_tokens": 64,
            "stream": given.get("stream", True),
            "messages": [{"role": "user", "content": "x" * int(str(given.get("size", 100)))}],
        }
        self.body = json.dumps(body).encode()

    def head(self, host: str, path: str) -> bytes:
        lines = [
            f"POST {path}/v1/messages HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            f"X-Client-Request-Id: {self.id}",
            f"X-Fault: {self.fault}",
            "X-Api-Key: sk-ant-of-no-use",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def say(**what: object) -> None:
    with LOCK:
        os.write(1, json.dumps(what).encode() + b"\n")


def connect() -> tuple[socket.socket, str, str]:
    """A connection to the API as the environment has it; the host and the path's beginning."""
    base = os.environ.get("ANTHROPIC_BASE_URL")
    if base:
        place, slash, path = base.removeprefix("http://").partition("/")
        host, _, port = place.partition(":")
        return socket.create_connection((host, int(port)), 30), place, slash + path.rstrip("/")
    import ssl

    name = "api.anthropic.com"
    host, _, port = os.environ["HTTPS_PROXY"].rpartition("//")[2].rstrip("/").partition(":")
    raw = socket.create_connection((host, int(port)), 30)
    raw.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = raw.recv(1)
        if not piece:
            raise ConnectionError("no tunnel")
        answer += piece
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    return context.wrap_socket(raw, server_hostname=name), name, ""


def send(connection: socket.socket, order: Order, host: str, path: str) -> None:
    head = order.head(host, path)
    if order.upload == "none":
        say(id=order.id, connected=True)
        connection.recv(1)  # until it breaks
        raise ConnectionError("nothing was asked")
    if order.upload == "half":
        connection.sendall(head + order.body[: len(order.body) // 2])
        say(id=order.id, halfway=True)
        connection.settimeout(0.4)
        try:
            if not connection.recv(1):
                raise ConnectionError("closed halfway")
        except TimeoutError:
            pass  # all is well: go on
        connection.settimeout(30)
        connection.sendall(order.body[len(order.body) // 2 :])
        return
    connection.sendall(head + order.body)


def receive(connection: socket.socket, order: Order) -> tuple[int, bytes, bool]:
    """Status, body and whether it is whole."""
    data = b""
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        status, body, whole = 0, b"", False
        if found:
            status = int(head.split(b" ", 2)[1])
            body, whole = content(head.lower(), rest)
        if whole:
            return status, body, True
        try:
            piece = connection.recv(65536)
        except OSError:
            return status, body, False
        if not piece:
            return status, body, False
        data += piece
        say(id=order.id, got=len(data))


def content(head: bytes, rest: bytes) -> tuple[bytes, bool]:
    """The body so far, and whether that is all of it."""
    if b"transfer-encoding: chunked" not in head:
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return rest, len(rest) >= length
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if count == 0:
            return body, rest.startswith(b"\r\n")
        body, rest = body + rest[:count], rest[count + 2 :]
    return body, False


def call(order: Order, keep: list[socket.socket]) -> None:
    status, body, whole, error = 0, b"", False, ""
    try:
        connection, host, path = connect()
        keep.append(connection)
        send(connection, order, host, path)
        status, body, whole = receive(connection, order)
    except (OSError, ValueError) as fault:
        error = repr(fault)
    say(
        id=order.id,
        done=True,
        status=status,
        whole=whole,
        size=len(body),
        digest=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        error=error,
    )


def main() -> None:
    keep: list[socket.socket] = []  # idle connections stay open, as a client's pool has them
    say(pid=os.getpid())
    threads = []
    for line in sys.stdin:
        given = json.loads(line)
        if given.get("end"):
            break
        thread = threading.Thread(target=call, args=(Order(given), keep), daemon=True)
        thread.start()
        threads.append(thread)
    say(ended=True)


if __name__ == "__main__":
    main()
