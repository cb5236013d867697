"""Google's embeddings: embedContent and batchEmbedContents, and Vertex's ``:predict``.

The rules (SDK, ``models.py``; Vertex AI's reference, "Text embeddings API"):

* embedContent tells ``usageMetadata.promptTokenCount``; older versions of the
  Gemini API tell nothing, and then the usage is absent, not zero.
* ``:predict`` tells ``statistics.token_count`` of every embedding; the tokens of
  the call are their sum. It also serves models that make images: these are not
  billed by tokens, and tell none.
* An embedding has no output tokens. That is known, not assumed: 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import keep, say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.google import headers as google_headers
from tokenproxy.wire.google.errors import Error, fail
from tokenproxy.wire.google.meter import Meter
from tokenproxy.wire.google.parsers import open_error
from tokenproxy.wire.google.request import model_name
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, UsagePart
from tokenproxy.wire.words import count


class EmbedRequest(msgspec.Struct):
    """A request for one embedding, for several, or for predictions."""

    model: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    requests: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()


class Embeddings(msgspec.Struct, rename="camel"):
    """A response of embedContent or batchEmbedContents."""

    usage_metadata: dict[str, Any] | None = None
    error: Error | None = None


class Vector(msgspec.Struct):
    """``embeddings`` of a prediction."""

    statistics: dict[str, Any] | None = None


class Prediction(msgspec.Struct):
    """One of ``predictions``, of whatever model."""

    embeddings: Vector | None = None


class Predictions(msgspec.Struct):
    """A response of ``:predict``."""

    predictions: list[Prediction] | None = None
    error: Error | None = None


_REQUEST = Lenient(EmbedRequest)
_EMBEDDINGS = Lenient(Embeddings)
_PREDICTIONS = Lenient(Predictions)


class _Vectors:
    """What both dialects have in common."""

    def __init__(self, name: str, read: Callable[[Reading, bytes], bool]) -> None:
        self.name = name
        self._read = read

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        request = _REQUEST.decode(body)
        if request is None:
            return RequestFacts(malformed=True)
        asked = bytes(request.content) or bytes(request.requests) or bytes(request.instances)
        return RequestFacts(model=model_name(request.model), prompt_digest=prompt_digest(asked))

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return google_headers.read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return open_error(head.status)
        reading = Reading()
        return DocumentParser(partial(self._read, reading), reading)


def _read_embeddings(reading: Reading, body: bytes) -> bool:
    found = _EMBEDDINGS.decode(body)
    if found is None:
        return False
    meter = Meter(reading)
    if found.usage_metadata is not None:
        meter.take(found.usage_metadata)
    part = meter.bill().part
    if part is not None and part.uncached_input_tokens is not None:
        reading.parts = (msgspec.structs.replace(part, output_tokens=part.output_tokens or 0),)
    _settle(reading, found.error)
    return True


def _read_predictions(reading: Reading, body: bytes) -> bool:
    found = _PREDICTIONS.decode(body)
    if found is None:
        return False
    vectors = [item.embeddings for item in found.predictions or [] if item.embeddings is not None]
    tokens = [_tokens(vector) for vector in vectors]
    for vector in vectors:
        if vector.statistics is not None:
            keep(reading, vector.statistics)
    known = [stated for stated in tokens if stated is not None]
    if known:
        reading.parts = (UsagePart(uncached_input_tokens=sum(known), output_tokens=0),)
    _settle(reading, found.error, whole=len(known) == len(tokens))
    return True


def _tokens(vector: Vector) -> int | None:
    return count(vector.statistics.get("token_count")) if vector.statistics is not None else None


def _settle(reading: Reading, error: Error | None, *, whole: bool = True) -> None:
    reading.ended = True
    if error is not None:
        fail(reading, error)
    if reading.parts:
        reading.completeness = "final" if whole else "partial"
    elif reading.error is None:
        say(reading, notes.USAGE_ABSENT)


EMBEDDINGS: Dialect = _Vectors("google.embeddings", _read_embeddings)
PREDICT: Dialect = _Vectors("google.predict", _read_predictions)
