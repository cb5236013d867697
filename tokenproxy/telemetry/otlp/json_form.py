"""OTLP's requests in JSON, and back, without a loss: what is kept on a disk, and read from it.

Source: opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding": Google's mapping
(protobuf.dev, "ProtoJSON"), but ids are in hex and enumerations are numbers. 64-bit integers
are strings there; what is no number (``NaN``, ``Infinity``) too.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from tokenproxy.telemetry.otlp import protobuf
from tokenproxy.telemetry.otlp.protobuf import FIXED32, FIXED64, LEN, VARINT
from tokenproxy.telemetry.otlp.schema import REQUESTS, Field, fields_of
from tokenproxy.telemetry.switch import Signal

_SIGN: Final = 1 << 63


class NotOtlpError(ValueError):
    """It is no such request, or has what we never send."""


def to_json(signal: Signal, request: bytes) -> bytes:
    """A request of protobuf as one line of JSON, without its end.

    Raises:
        NotOtlpError: It is none.
    """
    try:
        told = _told(REQUESTS[signal], memoryview(request))
        return msgspec.json.encode(told)
    except (IndexError, ValueError, TypeError, KeyError, struct.error) as error:
        raise NotOtlpError(f"no request of {signal}: {error!r}") from error


def to_protobuf(signal: Signal, line: bytes) -> bytes:
    """The request again.

    Raises:
        NotOtlpError: It is none.
    """
    try:
        told = msgspec.json.decode(line)
        return _written(REQUESTS[signal], told)
    except (
        ArithmeticError, AttributeError, LookupError, ValueError, TypeError, struct.error,
        RecursionError,
    ) as error:  # fmt: skip
        raise NotOtlpError(f"no request of {signal}: {error!r}") from error


class _Kind(NamedTuple):
    """How values of one scalar type are written in both forms."""

    wire: int
    told: Callable[[Any], Any]
    """The value for JSON of what :func:`protobuf.fields` gave."""
    written: Callable[[Any], bytes]
    """The other way."""


def _told(name: str, data: memoryview) -> dict[str, Any]:
    known = _by_number(name)
    found: dict[str, Any] = {}
    for number, value in protobuf.fields(data):
        field = known[number]
        if field.message:
            told = _told(field.kind, value)  # type: ignore[arg-type] # an int has no length: TypeError
            if field.repeated:
                found.setdefault(field.name, []).append(told)
            else:
                found[field.name] = told
        elif field.repeated:
            found.setdefault(field.name, []).extend(_packed(_KINDS[field.kind], value))
        else:
            found[field.name] = _KINDS[field.kind].told(value)
    return found


def _packed(kind: _Kind, value: int | memoryview) -> Iterator[Any]:
    """The items of a repeated scalar: of ours all are packed; one that comes alone is one."""
    if isinstance(value, int):
        yield kind.told(value)
    elif kind.wire == VARINT:
        at = 0
        while at < len(value):
            number, at = protobuf.read_varint(value, at)
            yield kind.told(number)
    else:
        width = 8 if kind.wire == FIXED64 else 4
        for at in range(0, len(value), width):
            yield kind.told(value[at : at + width])


def _written(name: str, told: Mapping[str, Any]) -> bytes:
    if told.keys() - _by_name(name):
        raise KeyError(*(told.keys() - _by_name(name)))
    parts = []
    for field in fields_of(name):
        if field.name not in told:
            continue
        value = told[field.name]
        if field.message:
            lead = protobuf.tag(field.number, LEN)
            items = value if field.repeated else (value,)
            parts += [protobuf.message(lead, _written(field.kind, item)) for item in items]
            continue
        kind = _KINDS[field.kind]
        if field.repeated:
            content = b"".join(map(kind.written, value))
            parts.append(protobuf.message(protobuf.tag(field.number, LEN), content))
        else:
            parts.append(protobuf.tag(field.number, kind.wire) + kind.written(value))
    return b"".join(parts)


@cache
def _by_number(name: str) -> dict[int, Field]:
    return {field.number: field for field in fields_of(name)}


@cache
def _by_name(name: str) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(name))


def _signed(number: int) -> int:
    return number - 2 * _SIGN if number >= _SIGN else number


def _unzigzag(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _zigzag(number: int) -> bytes:
    return protobuf.varint(number << 1 ^ number >> 63)


def _float(data: memoryview) -> float | str:
    (value,) = struct.unpack("<d", data)
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(words: Any) -> bytes:
    return protobuf.message(b"", words.encode())


def _id(digits: Any) -> bytes:
    return protobuf.message(b"", bytes.fromhex(digits))


def _bytes(text: Any) -> bytes:
    return protobuf.message(b"", base64.b64decode(text, validate=True))


def _unpacked(form: str) -> Callable[[Any], int]:
    return lambda data: int(struct.unpack(form, data)[0])


_KINDS: Final[dict[str, _Kind]] = {
    "string": _Kind(LEN, lambda data: str(data, "utf-8"), _text),
    "id": _Kind(LEN, lambda data: data.hex(), _id),
    "bytes": _Kind(LEN, lambda data: base64.b64encode(data).decode(), _bytes),
    "bool": _Kind(VARINT, bool, lambda value: protobuf.varint(int(value))),
    "int32": _Kind(VARINT, _signed, lambda value: protobuf.varint(int(value))),
    "uint32": _Kind(VARINT, int, lambda value: protobuf.varint(int(value))),
    "sint32": _Kind(VARINT, _unzigzag, lambda value: _zigzag(int(value))),
    "int64": _Kind(VARINT, lambda n: str(_signed(n)), lambda value: protobuf.varint(int(value))),
    "uint64": _Kind(VARINT, str, lambda value: protobuf.varint(int(value))),
    "fixed32": _Kind(FIXED32, _unpacked("<I"), lambda value: protobuf.fixed32(int(value))),
    "fixed64": _Kind(
        FIXED64,
        lambda data: str(struct.unpack("<Q", data)[0]),
        lambda value: protobuf.fixed64(int(value)),
    ),
    "sfixed64": _Kind(
        FIXED64,
        lambda data: str(struct.unpack("<q", data)[0]),
        lambda value: protobuf.sfixed64(int(value)),
    ),
    "double": _Kind(FIXED64, _float, lambda value: protobuf.double(float(value))),
}
