"""OTLP's ``KeyValue`` and ``AnyValue`` (opentelemetry-proto, common/v1), written once each.

From call to call most attributes are the same, value and all: what was written is kept in
mind, up to a bound.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from tokenproxy.telemetry.otlp.protobuf import LEN, VARINT, double, message, tag, varint
from tokenproxy.telemetry.span import Value

logger = logging.getLogger(__name__)

REMEMBERED: Final = 4096
"""Texts and names that are kept in mind. All are forgotten when there are more."""

_LONGEST: Final = 256
"""Characters of a text that is kept in mind."""
_SMALL: Final = 1024
"""Whole numbers below this come again."""

_KEY, _VALUE = tag(1, LEN), tag(2, LEN)  # of KeyValue
_STRING, _BOOL, _INT = tag(1, LEN), tag(2, VARINT), tag(3, VARINT)  # of AnyValue
_DOUBLE, _ARRAY = b"\x21", tag(5, LEN)
_ITEM: Final = tag(1, LEN)
"""Of ArrayValue."""


class AttributeWriter:
    """Writes attributes as a message's repeated field. Used by one thread at a time.

    Args:
        field: the field's number.
    """

    def __init__(self, field: int) -> None:
        self._tag = tag(field, LEN)
        self._names: dict[str, bytes] = {}
        self._texts: dict[tuple[str, Value], bytes] = {}
        """Of texts and tuples of texts alone: 1, 1.0 and True are one key."""
        self._numbers: dict[tuple[str, Value], bytes] = {}
        """Of small ints alone."""

    def write(self, attributes: Mapping[str, Value]) -> bytes:
        """All of them. One that cannot be told is left out, as by the SDK."""
        texts, numbers, parts = self._texts, self._numbers, []
        for item in attributes.items():
            kind = type(item[1])
            if kind is str or kind is tuple:
                parts.append(texts.get(item) or self._text(item))
            elif kind is int:
                parts.append(numbers.get(item) or self._number(item))
            else:
                parts.append(self._whole(*item))
        return b"".join(parts)

    def _text(self, item: tuple[str, Value]) -> bytes:
        written = self._whole(*item)
        if len(written) <= _LONGEST:
            _keep(self._texts, item, written)
        return written

    def _number(self, item: tuple[str, Value]) -> bytes:
        name, value = item
        written = self._whole(name, value)
        if isinstance(value, int) and 0 <= value < _SMALL:
            _keep(self._numbers, item, written)
        return written

    def _whole(self, name: str, value: Value) -> bytes:
        try:
            told = any_value(value)
            key = self._names.get(name)
            if key is None:
                key = message(_KEY, name.encode()) + _VALUE
                _keep(self._names, name, key)
        except (OverflowError, UnicodeEncodeError, TypeError) as error:
            logger.warning("attribute %r is not told: %s", name, error)
            return b""
        size = varint(len(told))
        return self._tag + varint(len(key) + len(size) + len(told)) + key + size + told


def any_value(value: Value) -> bytes:
    """The content of an ``AnyValue``.

    Raises:
        OverflowError: A whole number of more than 64 bits.
        UnicodeEncodeError: Half of a surrogate pair.
        TypeError: OTLP has nothing for it here.
    """
    match value:
        case bool():
            return _BOOL + (b"\x01" if value else b"\x00")
        case str():
            return message(_STRING, value.encode())
        case int():
            if value > (1 << 63) - 1:
                raise OverflowError(value)
            return _INT + varint(value)
        case float():
            return _DOUBLE + double(value)
        case tuple() | list():
            items = b"".join(message(_ITEM, any_value(item)) for item in value)
            return message(_ARRAY, items)
    raise TypeError(type(value))


def _keep[K](known: dict[K, bytes], key: K, written: bytes) -> None:
    if len(known) >= REMEMBERED:
        known.clear()
    known[key] = written
