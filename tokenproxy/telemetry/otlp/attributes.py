"""OTLP's ``KeyValue`` and ``AnyValue`` (opentelemetry-proto, common/v1)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from tokenproxy.telemetry.otlp.protobuf import LEN, VARINT, double, message, tag, varint
from tokenproxy.telemetry.span import Value

logger = logging.getLogger(__name__)

REMEMBERED: Final = 4096
"""Beginnings of attributes that are kept in mind. All are forgotten when there are more."""

_KEY, _VALUE = tag(1, LEN), tag(2, LEN)  # of KeyValue
_STRING, _BOOL, _INT = tag(1, LEN), tag(2, VARINT), tag(3, VARINT)  # of AnyValue
_DOUBLE, _ARRAY = b"\x21", tag(5, LEN)
_ITEM: Final = tag(1, LEN)
"""Of ArrayValue."""
_LARGEST: Final = (1 << 63) - 1


class AttributeWriter:
    """Writes attributes as a message's repeated field. Used by one thread at a time.

    All that stands before a value follows from the attribute's name and the value's size.

    Args:
        field: the field's number.
    """

    def __init__(self, field: int) -> None:
        self._tag = tag(field, LEN)
        self._texts: dict[tuple[str, int], bytes] = {}
        """What is before a text of so many bytes."""
        self._values: dict[tuple[str, int], bytes] = {}
        """What is before an ``AnyValue`` of so many bytes."""

    def write(self, attributes: Mapping[str, Value]) -> bytes:
        """All of them. One that cannot be told is left out, as by the SDK."""
        texts, values = self._texts, self._values
        parts: list[bytes] = []
        for name, value in attributes.items():
            if type(value) is str:
                told = utf8(value)
                key = name, len(told)
                parts += (texts.get(key) or self._before_text(key), told)
                continue
            if type(value) is int and 0 <= value <= _LARGEST:  # most are
                told = _INT + varint(value)
            elif type(value) is float:
                told = _DOUBLE + double(value)
            else:
                try:
                    told = any_value(value)
                except (OverflowError, TypeError) as error:
                    logger.debug("attribute %r is not told: %s", name, error)  # in every call?
                    continue
            key = name, len(told)
            parts += (values.get(key) or self._before(key), told)
        return b"".join(parts)

    def _before_text(self, key: tuple[str, int]) -> bytes:
        name, size = key
        head = _STRING + varint(size)
        return _keep(self._texts, key, self._head(name, len(head) + size) + head)

    def _before(self, key: tuple[str, int]) -> bytes:
        return _keep(self._values, key, self._head(*key))

    def _head(self, name: str, size: int) -> bytes:
        """What is before an ``AnyValue``."""
        key = message(_KEY, utf8(name)) + _VALUE + varint(size)
        return self._tag + varint(len(key) + size) + key


def _keep(mind: dict[tuple[str, int], bytes], key: tuple[str, int], written: bytes) -> bytes:
    if len(mind) >= REMEMBERED:
        mind.clear()
    mind[key] = written
    return written


def utf8(words: str) -> bytes:
    """A text's bytes; half of a surrogate pair is told as ``?``."""
    try:
        return words.encode()
    except UnicodeEncodeError:
        return words.encode("utf-8", "replace")


def any_value(value: Value) -> bytes:
    """The content of an ``AnyValue``; half of a surrogate pair is told as ``?``.

    Raises:
        OverflowError: A whole number of more than 64 bits.
        TypeError: OTLP has nothing for it here.
    """
    match value:
        case float():
            return _DOUBLE + double(value)
        case bool():
            return _BOOL + (b"\x01" if value else b"\x00")
        case int():
            if value > _LARGEST:
                raise OverflowError(value)
            return _INT + varint(value)
        case str():
            return message(_STRING, utf8(value))
        case tuple() | list():
            items = b"".join(message(_ITEM, any_value(item)) for item in value)
            return message(_ARRAY, items)
    raise TypeError(type(value))
