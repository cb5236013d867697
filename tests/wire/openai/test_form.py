"""Forms: the short fields that are asked for, whatever lies between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_images import form
from tokenproxy.wire.openai.form import form_fields

WANTED = ("model", "stream")


def test_wanted_fields_are_taken_and_files_are_not() -> None:
    sent = form(("prompt", "x"), ("model", "m"), ("language", "de"), ("stream", "true"))
    assert form_fields(sent, WANTED) == {"model": "m", "stream": "true"}


def test_a_field_as_clients_write_it() -> None:
    sent = (
        b"--b\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; "
        b'x="1"; name="model"\r\n\r\nm\r\n--b--\r\n'
    )
    assert form_fields(sent, WANTED) == {"model": "m"}


def test_a_field_whose_end_is_missing_counts() -> None:
    sent = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm'
    assert form_fields(sent, WANTED) == {"model": "m"}


def test_long_values_are_passed_over() -> None:
    assert form_fields(form(("model", "m" * 5000), ("stream", "true")), WANTED) == {
        "stream": "true"
    }


@pytest.mark.parametrize("sent", [b"", b"{}", b"--", b"--\r\nx", b"x--b\r\n"])
def test_what_is_no_form(sent: bytes) -> None:
    assert form_fields(sent, WANTED) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_garbage_never_raises(before: bytes, after: bytes) -> None:
    form_fields(before, WANTED)
    form_fields(b"--" + before, WANTED)
    form_fields(form(("model", "m"))[: len(before)] + after, WANTED)
