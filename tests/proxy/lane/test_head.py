"""Heads: what is for the lane is read rightly; what could be read in two ways is not for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.proxy.lane.head import ProtocolError, RequestHead, ResponseHead, read_connect

HOST = b"Host: api.anthropic.com\r\n"


def head(fields: bytes = b"", line: bytes = b"POST /v1/messages HTTP/1.1") -> RequestHead | None:
    return RequestHead.read(line + b"\r\n" + HOST + fields + b"\r\n")


def test_a_request() -> None:
    read = head(b"Content-Length: 12\r\nX-A:  b \r\nx-a: c\r\nempty:\r\n")
    assert read is not None
    assert (read.method, read.path, read.body, read.keep_alive) == (
        "POST",
        "/v1/messages",
        12,
        True,
    )
    assert read.fields["x-a"] == "b, c"
    assert read.fields["empty"] == ""
    assert read.fields["host"] == "api.anthropic.com"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (b"", "none"),
        (b"content-length: 0\r\n", "none"),
        (b"content-length: 5\r\n", 5),
        (b"transfer-encoding: chunked\r\n", "chunked"),
        (b"Transfer-Encoding: Chunked\r\n", "chunked"),
    ],
)
def test_a_requests_body(fields: bytes, body: object) -> None:
    read = head(fields)
    assert read is not None
    assert read.body == body


@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: +5\r\n",
        b"content-length: 5, 5\r\n",
        b"content-length: 1 2\r\n",
        b"content-length:\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: identity\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        b"upgrade: websocket\r\nconnection: upgrade\r\n",
        b"connection: close, x\r\n",
        b"expect: 100-continue\r\n",
        b"host: other\r\n",
        b" folded: 1\r\n",
        b"a: b\r\n c\r\n",
        b"a : b\r\n",
        b"a: \x00\r\n",
        b"a: \xe9\r\n",
        b"a: b\rc\r\n",
        b"a\r\n",
        b": b\r\n",
    ],
)
def test_what_is_open_to_two_readings_is_not_for_the_lane(fields: bytes) -> None:
    assert head(fields) is None


SOCKET = b"GET /v1/responses HTTP/1.1\r\nhost: x\r\n%s\r\n"


@pytest.mark.parametrize("connection", [b"Upgrade", b"keep-alive, Upgrade", b"upgrade,keep-alive"])
def test_an_upgrade_to_a_websocket(connection: bytes) -> None:
    fields = b"connection: %s\r\nupgrade: WebSocket\r\n" % connection
    read = RequestHead.read(SOCKET % fields)
    assert read is not None
    assert (read.upgrade, read.keep_alive, read.body) == (True, True, "none")
    plain = RequestHead.read(SOCKET % b"")
    assert plain is not None
    assert not plain.upgrade


@pytest.mark.parametrize(
    "fields",
    [
        b"upgrade: websocket\r\n",
        b"upgrade: websocket\r\nconnection: close\r\n",
        b"upgrade: websocket\r\nconnection: upgrade, close\r\n",
        b"upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 5\r\n",
        b"upgrade: h2c\r\nconnection: upgrade\r\n",
        b"upgrade: websocket, h2c\r\nconnection: upgrade\r\n",
        b"connection: upgrade\r\n",
    ],
)
def test_an_upgrade_to_anything_else_is_not_for_the_lane(fields: bytes) -> None:
    assert RequestHead.read(SOCKET % fields) is None


@pytest.mark.parametrize(
    "line",
    [
        b"POST http://api.anthropic.com/v1/messages HTTP/1.1",
        b"POST /v1/messages HTTP/1.0",
        b"POST /v1/messages HTTP/2.0",
        b"POST  /v1/messages HTTP/1.1",
        b"post /v1/messages HTTP/1.1",
        b"POST /v1 /messages HTTP/1.1",
        b"POST /v1/\xc3\xa9 HTTP/1.1",
        b"CONNECT api.anthropic.com:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"",
    ],
)
def test_other_request_lines_are_not_for_the_lane(line: bytes) -> None:
    assert head(line=line) is None


@given(st.binary(max_size=300))
def test_garbage_is_not_for_the_lane(data: bytes) -> None:
    read = RequestHead.read(data)
    assert read is None or read.raw == data


def test_another_path_and_host_change_nothing_else() -> None:
    raw = b"POST /a/v1/x?q HTTP/1.1\r\nX-Odd: Kept\r\nhOsT:  x \r\nZ: host: y\r\n\r\n"
    read = RequestHead.read(raw)
    assert read is not None
    assert read.sent_to("/v1/x?q", "y.example:1") == (
        b"POST /v1/x?q HTTP/1.1\r\nX-Odd: Kept\r\nHost: y.example:1\r\nZ: host: y\r\n\r\n"
    )
    assert read.sent_to("/a/v1/x?q", None) == raw


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"CONNECT a.b:443 HTTP/1.1\r\nhost: a.b:443\r\n\r\n", ("a.b", 443)),
        (b"CONNECT a.b HTTP/1.1\r\n\r\n", None),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", None),
        (b"CONNECT a.b:443 HTTP/1.0\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\n\r\n", None),
    ],
)
def test_a_connect(raw: bytes, place: tuple[str, int] | None) -> None:
    assert read_connect(raw) == place


OK = b"HTTP/1.1 200 OK\r\n"
OLD = b"HTTP/1.0 200 OK\r\n"


@pytest.mark.parametrize(
    ("raw", "method", "expected"),
    [
        (OK + b"content-length: 3\r\n\r\n", "POST", (200, 3, True)),
        (b"HTTP/1.1 200\r\ncontent-length: 3\r\n\r\n", "POST", (200, 3, True)),
        (b"HTTP/1.1 200 OK\ncontent-length: 3\n\n", "POST", (200, 3, True)),
        (OK + b"\r\n", "POST", (200, "close", False)),
        (b"HTTP/1.1 204 No\r\n\r\n", "POST", (204, "none", True)),
        (b"HTTP/1.1 304 No\r\ncontent-length: 9\r\n\r\n", "GET", (304, "none", True)),
        (OK + b"content-length: 9\r\n\r\n", "HEAD", (200, "none", True)),
        (OK + b"transfer-encoding: gzip, Chunked\r\n\r\n", "POST", (200, "chunked", True)),
        (OK + b"transfer-encoding: gzip\r\n\r\n", "POST", (200, "close", False)),
        (OK + b"content-length: 3\r\nconnection: close\r\n\r\n", "POST", (200, 3, False)),
        (OLD + b"content-length: 3\r\n\r\n", "POST", (200, 3, False)),
        (OLD + b"content-length: 3\r\nconnection: keep-alive\r\n\r\n", "POST", (200, 3, True)),
        (OK + b"content-length: 3, 3\r\n\r\n", "POST", (200, 3, True)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "POST", (100, "none", True)),
    ],
)
def test_a_response(raw: bytes, method: str, expected: tuple[int, object, bool]) -> None:
    read = ResponseHead.read(raw, method)
    assert (read.status, read.body, read.keep_alive) == expected


def test_a_field_on_several_lines() -> None:
    read = ResponseHead.read(b"HTTP/1.1 200 OK\r\na: b\r\n  c\r\ncontent-length: 1\r\n\r\n", "GET")
    assert (read.fields["a"], read.body) == ("b c", 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ],
)
def test_no_response(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseHead.read(raw, "POST")
