from __future__ import annotations

import msgspec
import pytest

from tokenproxy.wire.digest import prompt_digest

LONG = bytes(range(35, 91)) * 10_000


def test_equal_bytes_have_an_equal_digest_and_no_others() -> None:
    assert prompt_digest(b'[{"role":"user"}]') == prompt_digest(b'[{"role":"user"}]')
    assert prompt_digest(b'[{"role":"user"}]') != prompt_digest(b'[{"role": "user"}]')
    assert len(prompt_digest(b"a") or "") == 32


@pytest.mark.parametrize("at", [0, 1, 70_000, len(LONG) // 2, len(LONG) - 70_000, len(LONG) - 1])
def test_a_long_conversation_is_told_by_any_byte_of_it(at: int) -> None:
    other = bytearray(LONG)
    other[at] ^= 1
    assert prompt_digest(bytes(other)) != prompt_digest(LONG)
    assert prompt_digest(LONG[:at] + b"a" + LONG[at:]) != prompt_digest(LONG)


@pytest.mark.parametrize("size", [131_071, 131_072, 131_073, len(LONG)])
def test_equal_long_ones_are_equal_whatever_holds_them(size: int) -> None:
    text = LONG[:size]
    assert prompt_digest(msgspec.Raw(text)) == prompt_digest(bytes(bytearray(text)))
    assert prompt_digest(text) != prompt_digest(LONG[: size - 1])


def test_nothing_has_none() -> None:
    assert prompt_digest(b"") is None
