from __future__ import annotations

from tokenproxy.wire.digest import prompt_digest


def test_equal_bytes_have_an_equal_digest_and_no_others() -> None:
    assert prompt_digest(b'[{"role":"user"}]') == prompt_digest(b'[{"role":"user"}]')
    assert prompt_digest(b'[{"role":"user"}]') != prompt_digest(b'[{"role": "user"}]')
    assert len(prompt_digest(b"a") or "") == 32


def test_nothing_has_none() -> None:
    assert prompt_digest(b"") is None
