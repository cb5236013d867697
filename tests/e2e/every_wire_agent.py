"""A client of every API: does what the operations in a file say, one after another.

It knows nothing of tokenproxy: its proxy and trusted certificates come from the
environment, as of any Python program. Each operation bears its name as the client's
id of the request. What goes wrong on the way is printed, not raised.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.simulator.dialogues import is_over, tells_usage
from tests.simulator.sockets import CLOSE, ENDS, Client

Json = dict[str, Any]
CONTEXT = ssl.create_default_context()
PROXY = urlsplit(os.environ["HTTPS_PROXY"])
BOUNDARY = "simple"
OVER: dict[str, tuple[Callable[[Json], object], int]] = {
    "response": (lambda message: message.get("type") in ENDS, 1),
    "spoken": (is_over, 1),
    "spoken twice": (is_over, 2),
    "usage": (tells_usage, 1),
}
connections: dict[str, http.client.HTTPSConnection] = {}
seen: dict[str, str] = {}
"""Name of an operation -> id that its answer bore."""


def main() -> None:
    """Do all of it."""
    for operation in json.loads(Path(sys.argv[1]).read_text()):
        operation["path"] = re.sub(
            r"@([\w-]+)", lambda found: seen.get(found[1], ""), operation["path"]
        )
        headers = {"x-client-request-id": operation["name"]}
        if operation["scenario"]:
            headers["x-scenario"] = operation["scenario"]
        try:
            said = (talk if operation["socket"] else ask)(operation, headers)
        except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
            said = type(error).__name__
        sys.stdout.write(f"{operation['name']} {said}\n")


def ask(operation: Json, headers: dict[str, str]) -> str:
    """Send a request and read the answer."""
    body = json.dumps(operation["body"]) if operation["body"] is not None else None
    headers["content-type"] = "application/json"
    if operation["form"]:
        body = form(operation["form"])
        headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
    client = connection(operation["host"])
    try:
        client.request(operation["method"], operation["path"], body, headers)
        answer = client.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException):
        connections.pop(operation["host"]).close()
        raise
    if found := re.match(rb'{"id":"([^"]+)"', data):
        seen[operation["name"]] = found[1].decode()
    return str(answer.status)


def connection(host: str) -> http.client.HTTPSConnection:
    """A connection to a host, through the proxy; kept for the next request."""
    if host not in connections:
        made = http.client.HTTPSConnection(
            PROXY.hostname or "", PROXY.port, context=CONTEXT, timeout=20
        )
        made.set_tunnel(host)
        connections[host] = made
    return connections[host]


def form(fields: dict[str, str]) -> str:
    """A multipart form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join(parts) + f"--{BOUNDARY}--\r\n"


def talk(operation: Json, headers: dict[str, str]) -> str:
    """Open a WebSocket and go through its steps."""
    with Client(tunnel(operation["host"]), operation["path"], headers=headers) as client:
        if client.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            for messages, awaited in operation["socket"]:
                client.send(*messages)
                wait(client, *OVER[awaited])
        return str(client.status)


def wait(client: Client, over: Callable[[Json], object], count: int) -> None:
    """Read messages up to the last one of an answer, over what is no message."""
    while count:
        received = client.receive()
        if received is None or received[0] == CLOSE:
            raise ConnectionError
        try:
            count -= bool(over(json.loads(received[1])))
        except (ValueError, KeyError):
            continue


def tunnel(host: str) -> socket.socket:
    """A TLS connection to a host, through the proxy."""
    raw = socket.create_connection((PROXY.hostname or "", PROXY.port or 0), timeout=20)
    raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += raw.recv(1)
    if b" 200 " not in answer:
        raise OSError(answer)
    return CONTEXT.wrap_socket(raw, server_hostname=host)


if __name__ == "__main__":
    main()
