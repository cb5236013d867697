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
OF_A_NAME: Final = 64
"""Of one attribute so many: what has more values has a new one in every call, such as an id."""

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
        self._values: dict[str, int] = {}
        """How many texts of an attribute are kept in mind."""
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
        name, value = item
        written = self._whole(name, value)
        values = self._values.get(name, 0)
        if values < OF_A_NAME and len(written) <= _LONGEST:
            if len(self._texts) >= REMEMBERED:
                self._texts.clear()
                self._values.clear()
                values = 0
            self._texts[item] = written
            self._values[name] = values + 1
        return written

    def _number(self, item: tuple[str, Value]) -> bytes:
        name, value = item
        written = self._whole(name, value)
        if isinstance(value, int) and 0 <= value < _SMALL:
            if len(self._numbers) >= REMEMBERED:
                self._numbers.clear()
            self._numbers[item] = written
        return written

    def _whole(self, name: str, value: Value) -> bytes:
        try:
            told = any_value(value)
            key = self._names.get(name)
            if key is None:
                key = message(_KEY, name.encode("utf-8", "replace")) + _VALUE
                if len(self._names) >= REMEMBERED:
                    self._names.clear()
                self._names[name] = key
        except (OverflowError, TypeError) as error:
            logger.debug("attribute %r is not told: %s", name, error)  # in every call, maybe
            return b""
        size = varint(len(told))
        return self._tag + varint(len(key) + len(size) + len(told)) + key + size + told


def any_value(value: Value) -> bytes:
    """The content of an ``AnyValue``; half of a surrogate pair is told as ``?``.

    Raises:
        OverflowError: A whole number of more than 64 bits.
        TypeError: OTLP has nothing for it here.
    """
    match value:
        case bool():
            return _BOOL + (b"\x01" if value else b"\x00")
        case str():
            return message(_STRING, value.encode("utf-8", "replace"))
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
