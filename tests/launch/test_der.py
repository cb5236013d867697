"""DER as cryptography reads and writes it, and at the edges of its lengths and numbers."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.launch import der


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (255, "020200ff"),
        (256, "02020100"),
        (2**159 - 1, "02147f" + "ff" * 19),
    ],
)
def test_integers(number: int, encoded: str) -> None:
    assert der.integer(number).hex() == encoded


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "0400"),
        (127, "047f"),
        (128, "048180"),
        (255, "0481ff"),
        (256, "04820100"),
        (65_536, "0483010000"),
    ],
)
def test_lengths(size: int, head: str) -> None:
    assert der.value(der.OCTET_STRING, b"x" * size) == bytes.fromhex(head) + b"x" * size


@given(
    st.integers(0, 2).flatmap(
        lambda first: st.tuples(
            st.just(first),
            st.integers(0, 39 if first < 2 else 2**60),
            st.lists(st.integers(0, 2**60), max_size=6),
        )
    )
)
def test_object_identifiers(arcs: tuple[int, int, list[int]]) -> None:
    """Read back by the standard's rule: seven bits a byte, the first two arcs in one number."""
    first, second, rest = arcs
    encoded = der.oid(".".join(map(str, (first, second, *rest))))
    assert encoded[0] == 0x06
    assert encoded[1] == len(encoded) - 2
    found, number = list[int](), 0
    for byte in encoded[2:]:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            found.append(number)
            number = 0
    head = min(found[0] // 40, 2)
    assert (head, found[0] - 40 * head, found[1:]) == (first, second, rest)


@pytest.mark.parametrize(
    ("moment", "encoded"),
    [
        ("1999-12-31T23:59:59.900Z", b"\x17\x0d991231235959Z"),
        ("2049-12-31T23:59:59Z", b"\x17\x0d491231235959Z"),
        ("2050-01-01T00:00:00Z", b"\x18\x0f20500101000000Z"),
    ],
)
def test_moments(moment: str, encoded: bytes) -> None:
    assert der.moment(dt.datetime.fromisoformat(moment).timestamp()) == encoded


@given(st.binary(max_size=300))
def test_text_is_what_the_standard_library_reads_and_writes(data: bytes) -> None:
    text = der.pem("CERTIFICATE", data)
    assert ssl.PEM_cert_to_DER_cert(text) == data
    if data:
        assert text == ssl.DER_cert_to_PEM_cert(data)


def test_bit_strings() -> None:
    assert der.bits(b"\x06", unused=1).hex() == "03020106"
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    assert der.bits(b"\x06", unused=1) == usage.public_bytes()
