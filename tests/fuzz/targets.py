"""What is fuzzed: for each parser, what must hold of it whatever the bytes.

An input's first bytes choose (which head, where the bytes are cut), the rest is what the
parser gets. A parser may not raise but what it says it raises, and reads the same
however the bytes are cut. A target that returns has held.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import h11

from tests.wire.framing import sse_streams
from tests.wire.strategies import chunked
from tokenproxy.cli import prefix
from tokenproxy.proxy.lane.body import body_of
from tokenproxy.proxy.lane.head import ProtocolError, RequestHead, ResponseHead, read_connect
from tokenproxy.proxy.lane.hello import NoHelloError, read_hello
from tokenproxy.record import lines
from tokenproxy.record.journal import Replay
from tokenproxy.record.price_file import PriceFileError, read
from tokenproxy.wire import routes
from tokenproxy.wire.attribution import read_attribution
from tokenproxy.wire.bodyreader import BodyReader
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Head, SocketDialect
from tokenproxy.wire.framing.eventstream import EventStreamReader
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.framing.jsonstream import JsonStream
from tokenproxy.wire.framing.ndjson import LineReader
from tokenproxy.wire.framing.outline import Outline
from tokenproxy.wire.framing.permessage import UnknownExtensionError, agreed_deflate
from tokenproxy.wire.framing.sse import SSEReader
from tokenproxy.wire.framing.websocket import FrameReader

type Target = Callable[[bytes], None]

CHOICES: Final = 8
"""Bytes of an input that choose."""

CONTENT_TYPES: Final = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "multipart/form-data; boundary=x",
    "",
)
STATUSES: Final = (200, 429, 500, 101)
ENCODINGS: Final = ("", "gzip", "deflate", "br", "zstd", "gzip, br", "x-gzip", "zstd, gzip")
OPERATIONS: Final = (
    "chat",
    "responses",
    "batch_results",
    "embeddings",
    "generate_content",
    "images",
)
LIMIT: Final = 512
"""Of readers that give up on what is too large: small, so that it is met."""


class Chosen(NamedTuple):
    """An input, taken apart."""

    choices: bytes
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Chosen:
        return cls(data[:CHOICES].ljust(CHOICES, b"\0"), data[CHOICES:])

    def one_of[T](self, at: int, what: tuple[T, ...]) -> T:
        return what[self.choices[at] % len(what)]

    def chunks(self) -> list[bytes]:
        """The body, cut at places that the last three choices name."""
        size = len(self.body)
        return chunked(self.body, sorted(choice * size // 256 for choice in self.choices[-3:]))


class Fed(NamedTuple):
    """What a reader made of its input."""

    found: list[Any]
    rest: Any


def fed(reader: Any, chunks: list[bytes]) -> Fed:
    """All that a framing's reader gives, and what is left at its end."""
    found = []
    for chunk in chunks:
        found += reader.feed(chunk)
    return Fed(found, reader.close())


def framing(open_reader: Callable[[], Any], data: bytes) -> None:
    chosen = Chosen.of(data)
    whole = fed(open_reader(), [chosen.body])
    assert fed(open_reader(), chosen.chunks()) == whole


def skipping(data: bytes) -> None:
    """Of events that are passed over as one, those are told that must be."""
    chosen = Chosen.of(data)
    told = []
    for chunks in ([chosen.body], chosen.chunks()):
        reader = SSEReader((b"ping", b"delta"), LIMIT)
        reader.unless = sse_streams.SOUGHT
        found = fed(reader, chunks)
        told.append((sse_streams.told(found.found), found.rest, reader.oversized))
    assert told[0] == told[1]


def json_body(data: bytes) -> None:
    chosen = Chosen.of(data)
    limit = LIMIT if chosen.choices[0] % 2 else 1 << 20
    taken = []
    for chunks in ([chosen.body], chosen.chunks()):
        body = JsonBody(limit, outlines=chosen.choices[1] % 2 == 1)
        for chunk in chunks:
            body.feed(chunk)
        taken.append(None if body.too_large else body.take())
    assert taken[0] == taken[1]


def frames(data: bytes) -> None:
    """Frames may not be followed in one chunking and be none in another."""
    chosen = Chosen.of(data)
    deflate, starts_anew = chosen.choices[0] % 2 == 1, chosen.choices[1] % 2 == 1
    told = []
    for chunks in ([chosen.body], chosen.chunks()):
        reader = FrameReader(deflate=deflate, starts_anew=starts_anew)
        messages = [message for chunk in chunks for message in reader.feed(chunk)]
        told.append((messages, reader.failed, reader.close_code))
    assert told[0] == told[1]


def extensions(data: bytes) -> None:
    with suppress(UnknownExtensionError):
        agreed_deflate(data.decode("latin-1"))


def outlines(data: bytes) -> None:
    """An outline is empty or an object that can be read."""
    chosen = Chosen.of(data)
    bounds = {"kept": 1 + chosen.choices[0] % 32, "limit": LIMIT, "levels": chosen.choices[1] % 4}
    told = []
    for chunks in ([chosen.body], chosen.chunks()):
        made = Outline(**bounds)
        for chunk in chunks:
            made.feed(chunk)
        told.append(made.text())
    assert told[0] == told[1]
    assert told[0] == b"" or isinstance(json.loads(told[0]), dict)


def decoding(data: bytes) -> None:
    """A stream that breaks gives what came before, however it is cut."""
    chosen = Chosen.of(data)
    encoding = chosen.one_of(0, ENCODINGS)
    texts, failed = [], []
    for chunks in ([chosen.body], chosen.chunks()):
        decoder = open_decoder(encoding)
        texts.append(b"".join(piece for chunk in chunks for piece in decoder.pieces(chunk)))
        failed.append(decoder.failed)
        assert not (decoder.failed and decoder.complete)
    assert texts[0] == texts[1]
    assert failed[0] == failed[1]


def request_body(data: bytes) -> None:
    chosen = Chosen.of(data)
    encoding = chosen.one_of(0, ENCODINGS)
    taken = []
    for chunks in ([chosen.body], chosen.chunks()):
        reader = BodyReader(encoding)
        for chunk in chunks:
            reader.feed(chunk)
        taken.append(reader.take())
    assert taken[0] == taken[1]


def request_facts(name: str, data: bytes) -> None:
    routes.dialect(name).read_request(data)


def response(name: str, data: bytes) -> None:
    chosen = Chosen.of(data)
    head = Head(
        status=chosen.one_of(0, STATUSES),
        content_type=chosen.one_of(1, CONTENT_TYPES),
        operation=chosen.one_of(2, OPERATIONS),
        first_party=bool(chosen.choices[3] % 2),
    )
    told = []
    for chunks in ([chosen.body], chosen.chunks()):
        parser = routes.dialect(name).open_response(head)
        items = []
        for chunk in chunks:
            parser.feed(chunk)
            items += parser.take_items()
        parser.close()
        parser.close()
        told.append((parser.reading, items + parser.take_items()))
    assert told[0] == told[1]
    for part in told[0][0].parts:
        counts = (part.uncached_input_tokens, part.output_tokens, part.cache_read_input_tokens)
        assert all(count is None or count >= 0 for count in counts)


def response_headers(data: bytes) -> None:
    fields = _fields(data)
    for name in routes.dialect_names():
        routes.dialect(name).read_response_headers(fields)


def attribution(data: bytes) -> None:
    read_attribution(_fields(data))


def _fields(data: bytes) -> Mapping[str, str]:
    lines = data.decode("latin-1").split("\n")
    return {name.lower(): value for name, _, value in (line.partition(":") for line in lines)}


def socket(name: str, data: bytes) -> None:
    dialect = routes.dialect(name)
    assert isinstance(dialect, SocketDialect)
    parser = dialect.open_socket(Head(status=200))
    for message in data.split(b"\n"):
        if message[:1] == b">":
            parser.client_message(message[1:])
        else:
            parser.server_message(message)
    parser.close()


def request_head(data: bytes) -> None:
    """What the lane takes is HTTP to others too, and means the same: nothing is smuggled."""
    head = RequestHead.read(data)
    if head is None or len(data) > 10_000:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(data)
    event = other.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method.decode(), event.target.decode()) == (head.method, head.path)
    end = other.next_event()
    assert isinstance(end, h11.EndOfMessage) == (head.body == "none")


def response_head(data: bytes) -> None:
    for method in ("POST", "HEAD"):
        with suppress(ProtocolError):
            ResponseHead.read(data, method)


def chunked_body(data: bytes) -> None:
    chosen = Chosen.of(data)
    strict = bool(chosen.choices[0] % 2)
    told: list[Any] = []
    for chunks in ([chosen.body], chosen.chunks()):
        body, payload, used = body_of("chunked", strict=strict), b"", 0
        try:
            for chunk in chunks:
                if body.over:
                    break
                piece, taken = body.feed(chunk)
                payload, used = payload + piece, used + taken
            told.append((payload, used, body.over))
        except ProtocolError:
            told.append("broken")
    assert told[0] == told[1]
    if strict and told[0] != "broken" and told[0][2]:
        _ends_for_others_too(chosen.body, told[0][0], told[0][1])


def _ends_for_others_too(body: bytes, payload: bytes, used: int) -> None:
    """What the lane takes for a request's body is no other to who gets it, unless refused."""
    other = h11.Connection(h11.SERVER)
    other.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    other.next_event()
    other.receive_data(body[:used])
    read = b""
    with suppress(h11.RemoteProtocolError):
        while isinstance(event := other.next_event(), h11.Data):
            read += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert read == payload


def connect(data: bytes) -> None:
    read_connect(data)


def hello(data: bytes) -> None:
    """A greeting that is whole stays what it is, whatever follows."""
    with suppress(NoHelloError):
        whole = read_hello(data)
        for end in range(0, len(data), max(len(data) // 8, 1)):
            early = read_hello(data[:end])
            assert early is None or early == whole


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="fuzz-") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def ledger(data: bytes) -> None:
    """Each line is a row or a problem; from the end as from the beginning."""
    with _file(data) as path:
        forward = [line.row for line in lines.iter_rows(path) if line.row is not None]
        assert list(lines.tail_rows(path, len(data))) == forward[::-1]
        found = lines.verify(path)
        assert found.rows <= len(forward)


def journal(data: bytes) -> None:
    Replay.read(io.BytesIO(data))


def prices(data: bytes) -> None:
    with _file(data) as path, suppress(PriceFileError):
        read(path)


def options(data: bytes) -> None:
    prefix.plain(data.decode("utf-8", "surrogateescape").split("\0"), {})


def _sockets() -> tuple[str, ...]:
    names = routes.dialect_names()
    return tuple(name for name in names if isinstance(routes.dialect(name), SocketDialect))


TARGETS: Final[Mapping[str, Target]] = {
    "framing.sse": partial(framing, SSEReader),
    "framing.sse.skipping": skipping,
    "framing.ndjson": partial(framing, partial(LineReader, LIMIT)),
    "framing.jsonstream": partial(framing, partial(JsonStream, LIMIT)),
    "framing.eventstream": partial(framing, partial(EventStreamReader, LIMIT)),
    "framing.jsonbody": json_body,
    "framing.outline": outlines,
    "framing.websocket": frames,
    "framing.permessage": extensions,
    "decoding": decoding,
    "request.body": request_body,
    "response.headers": response_headers,
    "attribution": attribution,
    **{f"request.{name}": partial(request_facts, name) for name in routes.dialect_names()},
    **{f"response.{name}": partial(response, name) for name in routes.dialect_names()},
    **{f"socket.{name}": partial(socket, name) for name in _sockets()},
    "lane.request": request_head,
    "lane.response": response_head,
    "lane.chunked": chunked_body,
    "lane.connect": connect,
    "lane.hello": hello,
    "ledger": ledger,
    "journal": journal,
    "prices": prices,
    "options": options,
}
"""By name."""


def planted(data: bytes) -> None:
    """A fault that fuzzing must find, or it finds none at all."""
    if data[:1] == b"u" and data[1:2] == b"s" and data[2:3] == b"e":
        raise KeyError(data)


PLANTED: Final = "planted"
