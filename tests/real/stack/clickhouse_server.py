"""ClickHouse's HTTP interface over chdb, which is ClickHouse in a process.

Run by the Python that holds chdb: ``python clickhouse_server.py DIRECTORY PORT [PASSWORD]``.
The engine, its SQL, its tables and its formats are real; only the door is ours. It says what
clickhouse-connect and the Collector's ClickHouse exporter (clickhouse-go) use:

* the query in the body, or in ``query`` with data in the body; ``param_*``, ``database``,
  ``default_format``; other settings are ignored;
* bodies and answers in gzip or deflate. ClickHouse's own frames (``compress=1``) are not
  spoken, so the exporter needs ``compress=gzip`` in its endpoint;
* errors with ClickHouse's code in ``X-ClickHouse-Exception-Code``.

chdb writes the Native format of protocol revision 0. Whoever asks for the server's revision
(clickhouse-go does first, and reads the answer in its own revision) is told 0.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import re
import signal
import sys
import tempfile
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

HOST = "127.0.0.1"
HELLO = "SELECT displayName(), version(), revision(), timezone()"
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""What stands before a block of Native in any revision but 0."""
AUTHENTICATION_FAILED = 516
UNKNOWN_DATABASE = 81
STATUSES = {AUTHENTICATION_FAILED: 403, UNKNOWN_DATABASE: 404, 60: 404, 47: 404, 241: 500}
"""ClickHouse's error code -> HTTP status, where it is not 400."""


class RefusedError(Exception):
    """ClickHouse said no."""

    def __init__(self, sentence: str) -> None:
        """Of the sentence as ClickHouse states it, with its code at the start."""
        super().__init__(sentence)
        found = re.search(r"Code: (\d+)", sentence)
        self.code = int(found[1]) if found else 1002


class Answer(NamedTuple):
    """A result."""

    body: bytes
    rows_read: int = 0
    bytes_read: int = 0
    elapsed_s: float = 0.0


class Engine:
    """One chdb session. Queries wait for each other."""

    def __init__(self, directory: str) -> None:
        """Of a database that lies, or will lie, in ``directory``."""
        session = importlib.import_module("chdb.session")
        self._session: Any = session.Session(directory)
        self._lock = threading.Lock()

    def ask(
        self, sql: bytes, data: bytes, form: str, parameters: dict[str, str], database: str
    ) -> Answer:
        """Run a statement with what it inserts.

        Raises:
            RefusedError: with ClickHouse's own words.
        """
        try:
            with self._lock, tempfile.NamedTemporaryFile() as file:
                if data:
                    file.write(data)
                    file.flush()
                    sql = _inserting(sql, file.name)
                self._session.query(f"USE {_quoted(database)}")
                found = self._session.query(sql, form, params=parameters)
                return Answer(
                    found.bytes() or b"",
                    found.storage_rows_read(),
                    found.storage_bytes_read(),
                    found.elapsed(),
                )
        except (RuntimeError, ValueError) as error:  # chdb's own is a RuntimeError
            raise RefusedError(str(error)) from None

    def close(self) -> None:
        """End the session."""
        with self._lock:
            self._session.close()


class Door(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    engine: ClassVar[Engine]
    password: ClassVar[str] = ""

    def do_GET(self) -> None:
        """Answer ``/ping``, or a query in the URL."""
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
        else:
            self._query(b"")

    def do_POST(self) -> None:
        """Answer a query."""
        self._query(self._body())

    def log_message(self, *words: object) -> None:
        """Say nothing of what went well."""

    def _query(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            self._check(asked)
            if body.strip() == HELLO.encode():
                found = Answer(_hello(int(asked.get("client_protocol_version", 0))))
            else:
                stated = asked.get("query", "").encode()
                parameters = {
                    name.removeprefix("param_"): value
                    for name, value in asked.items()
                    if name.startswith("param_")
                }
                found = self.engine.ask(
                    stated or body,
                    body if stated else b"",
                    asked.get("default_format", "TabSeparated"),
                    parameters,
                    asked.get("database") or "default",
                )
        except RefusedError as error:
            sys.stderr.write(f"{error}\n")
            headers = {"X-ClickHouse-Exception-Code": str(error.code)}
            self._send(STATUSES.get(error.code, 400), f"{error}\n".encode(), headers)
            return
        summary = {
            "read_rows": str(found.rows_read),
            "read_bytes": str(found.bytes_read),
            "elapsed_ns": str(int(found.elapsed_s * 1e9)),
        }
        self._send(200, found.body, {"X-ClickHouse-Summary": json.dumps(summary)})

    def _check(self, asked: dict[str, str]) -> None:
        given = asked.get("password") or self.headers.get("X-ClickHouse-Key") or ""
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            given = unquote(base64.b64decode(encoded).decode().partition(":")[2])
        if given != self.password:
            raise RefusedError(
                f"Code: {AUTHENTICATION_FAILED}. DB::Exception: default: Authentication failed: "
                "password is incorrect, or there is no user with such name."
            )
        if "1" in {asked.get("compress"), asked.get("decompress")}:
            raise RefusedError("Code: 48. DB::Exception: ask for gzip instead of frames")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            body = bytes(raw)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        coding = self.headers.get("Content-Encoding", "")
        if coding in {"gzip", "deflate"}:
            return zlib.decompress(body, zlib.MAX_WBITS | 32)
        return body

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        wanted = self.headers.get("Accept-Encoding", "")
        if "gzip" in wanted and body:
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        for name, value in {"X-ClickHouse-Timezone": "UTC", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _inserting(sql: bytes, file: str) -> bytes:
    """The statement with its data in a file: in it, chdb takes an empty line for their end."""
    ending = f" FROM INFILE '{file}' FORMAT".encode()
    found, count = re.subn(rb"\s+FORMAT(?=\s+\w+\s*$)", lambda _: ending, sql)
    if not count:
        raise RefusedError("Code: 48. DB::Exception: data need a FORMAT before them")
    return found


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _hello(revision: int) -> bytes:
    """Who we are: a block of one line in the asker's revision."""
    columns = (
        (b"displayName()", b"String", b"\x04chdb"),
        (b"version()", b"String", b"\x0626.9.2"),
        (b"revision()", b"UInt32", b"\x00\x00\x00\x00"),
        (b"timezone()", b"String", b"\x03UTC"),
    )
    custom_serialization = b"\x00" if revision >= 54454 else b""
    said = BLOCK_INFO if revision else b""
    said += bytes([len(columns), 1])
    for name, kind, value in columns:
        said += bytes([len(name)]) + name + bytes([len(kind)]) + kind
        said += custom_serialization + value
    return said


def main(directory: str, port: str, password: str = "") -> None:
    """Serve until SIGTERM."""
    Door.engine = Engine(directory)
    Door.password = password
    server = ThreadingHTTPServer((HOST, int(port)), Door)
    server.daemon_threads = True

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)
    Door.engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
