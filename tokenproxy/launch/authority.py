"""The run's certificate authority: its key in memory, its reach the intercepted hosts.

Name constraints are critical: a client that does not understand them must refuse
the CA, and one that does will accept a leaf only for an intercepted host. A kind
of name (DNS, IP address) without any permitted entry is excluded as a whole,
since RFC 5280 (4.2.1.10) restricts only the kinds that are listed.

The user's command waits for it, and to import cryptography's X.509 takes longer than
all else that the command waits for. So cryptography makes the key, hashes and signs,
and the certificate's few fields are written here; the tests hold them to what
cryptography writes, byte for byte.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from tokenproxy.launch import der
from tokenproxy.launch.routes import is_address

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

COMMON_NAME = "tokenproxy run CA"
BACKDATED = dt.timedelta(days=2)
"""For machines and containers whose clocks differ, and for clocks that are set back meanwhile."""
VALID = dt.timedelta(days=7)

# RFC 5280, RFC 5480, RFC 5758.
_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_P256 = "1.2.840.10045.3.1.7"
_COMMON_NAME_OID = "2.5.4.3"
_SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
_KEY_USAGE = "2.5.29.15"
_BASIC_CONSTRAINTS = "2.5.29.19"
_NAME_CONSTRAINTS = "2.5.29.30"

_DNS_NAME, _IP_ADDRESS = der.CONTEXT | 2, der.CONTEXT | 7
_SIGNS = bytes((0b0000_0110,))
"""Key usage, from the left: bit 5 signs certificates, bit 6 revocation lists."""
_V3 = 2
_COORDINATE = 32
"""Bytes of a number of P-256."""


class Authority(msgspec.Struct, frozen=True):
    """Certificate and private key, PEM. Never written with its key."""

    cert_pem: str
    key_pem: str


class Terms(msgspec.Struct, frozen=True):
    """What of a certificate is neither its key's nor the same in all."""

    hosts: tuple[str, ...]
    serial: int
    begin: float
    """Seconds since the epoch, as ``end``; told to the second."""
    end: float


def make_authority(hosts: Sequence[str], valid: dt.timedelta = VALID) -> Authority:
    """A new CA (EC P-256) that may only vouch for ``hosts``: DNS names, literal IP addresses.

    A permitted DNS name permits the names below it too; X.509 cannot say less. Of a name
    with a star (``bedrock-runtime.*.amazonaws.com``) it permits what lies right of it.
    """
    # Needed in forward mode only.
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.private_numbers()
    x, y = numbers.public_numbers.x, numbers.public_numbers.y
    point = b"\x04" + x.to_bytes(_COORDINATE) + y.to_bytes(_COORDINATE)
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - RFC 5280's identifier, not a signature's
    digest.update(point)
    now = time.time()
    terms = Terms(
        hosts=tuple(hosts),
        serial=int.from_bytes(os.urandom(20)) >> 1,  # positive in the 20 bytes that are allowed
        begin=now - BACKDATED.total_seconds(),
        end=now + valid.total_seconds(),
    )
    unsigned = to_be_signed(terms, point, digest.finalize())
    signature = _sign(key, unsigned)
    certificate = der.value(
        der.SEQUENCE, unsigned, _algorithm(_ECDSA_WITH_SHA256), der.bits(signature)
    )
    return Authority(
        der.pem("CERTIFICATE", certificate),
        der.pem("PRIVATE KEY", private_key(numbers.private_value, point)),
    )


def _sign(key: EllipticCurvePrivateKey, data: bytes) -> bytes:
    """ECDSA with SHA-256."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    class WithSha256(ec.ECDSA):
        """As its own constructor makes it, which imports all ciphers for an answer of no use."""

        def __init__(self) -> None:
            pass

        @property
        def algorithm(self) -> HashAlgorithm:
            return hashes.SHA256()

        @property
        def deterministic_signing(self) -> bool:
            return False

    try:
        return key.sign(data, WithSha256())
    except (AttributeError, TypeError):  # a version that asks for more
        return key.sign(data, ec.ECDSA(hashes.SHA256()))


def to_be_signed(terms: Terms, point: bytes, identifier: bytes) -> bytes:
    """What a self-signed certificate says (RFC 5280, 4.1), DER.

    Args:
        terms: Whom it may vouch for, and when.
        point: The public key, uncompressed.
        identifier: What its leaves name it by.
    """
    name = der.value(
        der.SEQUENCE,
        der.value(
            der.SET,
            der.value(
                der.SEQUENCE,
                der.oid(_COMMON_NAME_OID),
                der.value(der.UTF8_STRING, COMMON_NAME.encode()),
            ),
        ),
    )
    limits = der.value(der.SEQUENCE, _true(), der.integer(0))  # a CA, of leaves only
    extensions = (
        _extension(_BASIC_CONSTRAINTS, limits, critical=True),
        _extension(_KEY_USAGE, der.bits(_SIGNS, unused=1), critical=True),
        _extension(_SUBJECT_KEY_IDENTIFIER, der.value(der.OCTET_STRING, identifier)),
        _extension(_NAME_CONSTRAINTS, _reach(terms.hosts), critical=True),
    )
    return der.value(
        der.SEQUENCE,
        der.value(der.CONTEXT | der.CONSTRUCTED | 0, der.integer(_V3)),
        der.integer(terms.serial),
        _algorithm(_ECDSA_WITH_SHA256),
        name,
        der.value(der.SEQUENCE, der.moment(terms.begin), der.moment(terms.end)),
        name,
        der.value(der.SEQUENCE, _algorithm(_EC_PUBLIC_KEY, _P256), der.bits(point)),
        der.value(der.CONTEXT | der.CONSTRUCTED | 3, der.value(der.SEQUENCE, *extensions)),
    )


def private_key(secret: int, point: bytes) -> bytes:
    """A key of P-256 as PKCS #8 (RFC 5958, RFC 5915), DER."""
    key = der.value(
        der.SEQUENCE,
        der.integer(1),
        der.value(der.OCTET_STRING, secret.to_bytes(_COORDINATE)),
        der.value(der.CONTEXT | der.CONSTRUCTED | 1, der.bits(point)),
    )
    return der.value(
        der.SEQUENCE,
        der.integer(0),
        _algorithm(_EC_PUBLIC_KEY, _P256),
        der.value(der.OCTET_STRING, key),
    )


def _reach(hosts: Iterable[str]) -> bytes:
    """Name constraints that permit ``hosts`` alone."""
    addresses = [host for host in hosts if is_address(host)]
    names = sorted({_right_of_star(host) for host in hosts if host not in addresses})
    permitted = [_subtree(_DNS_NAME, name.encode("ascii")) for name in names]
    permitted += [_network(address) for address in addresses]
    excluded: list[bytes] = []
    if not names:
        excluded.append(_subtree(_DNS_NAME, b""))
    if not addresses:
        excluded += [_network(all_) for all_ in ("0.0.0.0/0", "::/0")]
    kinds = ((0, permitted), (1, excluded))
    return der.value(
        der.SEQUENCE,
        *(
            der.value(der.CONTEXT | der.CONSTRUCTED | number, *subtrees)
            for number, subtrees in kinds
            if subtrees
        ),
    )


def _network(text: str) -> bytes:
    network = ipaddress.ip_network(text)
    return _subtree(_IP_ADDRESS, network.network_address.packed + network.netmask.packed)


def _subtree(kind: int, base: bytes) -> bytes:
    return der.value(der.SEQUENCE, der.value(kind, base))


def _extension(name: str, content: bytes, *, critical: bool = False) -> bytes:
    return der.value(
        der.SEQUENCE,
        der.oid(name),
        _true() if critical else b"",
        der.value(der.OCTET_STRING, content),
    )


def _algorithm(*names: str) -> bytes:
    return der.value(der.SEQUENCE, *(der.oid(name) for name in names))


def _true() -> bytes:
    return der.value(der.BOOLEAN, b"\xff")


def _right_of_star(host: str) -> str:
    """The smallest domain that holds all hosts of this pattern."""
    labels = host.split(".")
    stars = [at for at, label in enumerate(labels) if "*" in label]
    return ".".join(labels[stars[-1] + 1 :]) if stars else host
