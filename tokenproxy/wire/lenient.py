"""Typed JSON that degrades field by field.

msgspec refuses a whole object when one field has an unexpected type. A provider
that sends ``"service_tier": 3`` must cost us that field, not the tokens beside
it. So: decode at full speed first, and only if that fails take the object
apart and decode each field on its own; one that will not fit keeps its default.
Objects of no declared shape (``dict``) are taken apart likewise, key by key: one
number that no float holds (``1e999``) must not cost the counts beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final, get_args, get_origin

import msgspec

_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])

_ARRAY_BEGINS = re.compile(rb"[ \t\r\n]*+\[")
"""Most of what is asked for its items is a string or absent: that is told by its first byte."""

_ARRAY_HAS_ITEMS = re.compile(rb"[ \t\r\n]*+\[[ \t\r\n]*+[^ \t\r\n\]]")

_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_UNREADABLE = (ValueError, RecursionError)
"""What msgspec raises on bad input: its errors and Unicode's are ValueErrors; too deep is not."""

_NOTHING: Final = object()
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]{0,63}")

_MAX_LEVELS = 8
"""Each level that is taken apart reads the rest once more."""


class Lenient[T: msgspec.Struct]:
    """Decodes JSON objects into ``shape``, every field of which must have a default."""

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        self._whole = msgspec.json.Decoder(shape)
        self._items: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(list[shape])  # type: ignore[valid-type] # known when it runs
        self._fields: Mapping[str, tuple[str, Callable[[msgspec.Raw], Any]]] = {
            field.encode_name: (field.name, _field_decoder(field.type))
            for field in msgspec.structs.fields(shape)
        }

    def decode(self, data: bytes | msgspec.Raw) -> T | None:
        """The object in ``data``, or None if that is no JSON object. Never raises."""
        try:
            return self._whole.decode(data)
        except _UNREADABLE:
            return self._decode_by_field(mend_surrogates(bytes(data)))

    def decode_items(self, data: bytes | msgspec.Raw) -> Sequence[T | None]:
        """The objects in a JSON array, None for an item that is none. Never raises.

        As if each were decoded by itself, but in one pass over the bytes if all is well.
        Empty if ``data`` is no array.
        """
        if _ARRAY_BEGINS.match(data) is None:
            return ()
        try:
            return self._items.decode(data)
        except _UNREADABLE:
            return [self.decode(item) for item in array_items(data) or ()]

    def _decode_by_field(self, data: bytes | msgspec.Raw) -> T | None:
        try:
            values = _OBJECT.decode(data)
        except _UNREADABLE:
            return None
        found = {}
        for key, (name, decode) in self._fields.items():
            if key in values:
                try:
                    found[name] = decode(values[key])
                except _UNREADABLE:
                    continue
        return self._shape(**found)


def has_items(data: bytes | msgspec.Raw) -> bool:
    """Whether a valid JSON value is an array with something in it. Never raises."""
    return _ARRAY_HAS_ITEMS.match(data) is not None


def array_items(data: bytes | msgspec.Raw) -> list[msgspec.Raw] | None:
    """The undecoded items of a JSON array, or None if ``data`` is none. Never raises."""
    if _ARRAY_BEGINS.match(data) is None:
        return None
    try:
        return _ARRAY.decode(data)
    except _UNREADABLE:
        pass
    try:
        return _ARRAY.decode(mend_surrogates(bytes(data)))
    except _UNREADABLE:
        return None


def mend_surrogates(data: bytes) -> bytes:
    """``data`` with U+FFFD for every escaped half of a surrogate pair that stands alone.

    A text cut in the middle of an emoji ends in one. Python's and JavaScript's parsers
    take it, msgspec refuses the whole document, and with it the counts.
    """
    return _LONE_SURROGATE.sub(rb"\\ufffd", data) if b"\\u" in data else data


def _field_decoder(declared: Any) -> Callable[[msgspec.Raw], Any]:
    """A decoder for one field; it raises one of ``_UNREADABLE`` if the value does not fit."""
    options = [option for option in get_args(declared) if option is not NoneType]
    wanted = options[0] if len(options) == 1 and get_origin(declared) is not list else declared
    if _is_struct(wanted):
        return _nested(wanted)
    if get_origin(wanted) is list and _is_struct(item := get_args(wanted)[0]):
        return _nested_list(item)
    if get_origin(wanted) is dict:
        return _mapping
    return msgspec.json.Decoder(declared).decode


def _mapping(data: msgspec.Raw) -> dict[str, Any] | None:
    """An object or null, without the values that cannot be decoded."""
    if bytes(data).strip() == b"null":
        return None
    return {
        key: value
        for key, raw in _OBJECT.decode(data).items()
        if (value := _any(raw, _MAX_LEVELS)) is not _NOTHING
    }


def _any(data: msgspec.Raw, levels: int) -> Any:
    """A value as far as it can be decoded; a number out of range stays as its text."""
    try:
        return msgspec.json.decode(data)
    except _UNREADABLE:
        text = bytes(data).strip()
    try:
        if text.startswith(b"{") and levels:
            found = [(key, _any(raw, levels - 1)) for key, raw in _OBJECT.decode(text).items()]
            return {key: value for key, value in found if value is not _NOTHING}
        if text.startswith(b"[") and levels:
            items = [_any(raw, levels - 1) for raw in _ARRAY.decode(text)]
            return [item for item in items if item is not _NOTHING]
    except _UNREADABLE:
        return _NOTHING
    return text.decode("ascii") if _NUMBER.fullmatch(text) else _NOTHING


def _is_struct(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, msgspec.Struct)


def _nested(shape: type[msgspec.Struct]) -> Callable[[msgspec.Raw], Any]:
    return Lenient(shape).decode


def _nested_list(shape: type[msgspec.Struct]) -> Callable[[msgspec.Raw], Any]:
    one = Lenient(shape)

    def decode(data: msgspec.Raw) -> list[msgspec.Struct]:
        return [item for raw in _ARRAY.decode(data) if (item := one.decode(raw)) is not None]

    return decode
