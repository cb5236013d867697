"""The run's certificate authority: its key in memory, its reach the intercepted hosts.

Name constraints are critical: a client that does not understand them must refuse
the CA, and one that does will accept a leaf only for an intercepted host. A kind
of name (DNS, IP address) without any permitted entry is excluded as a whole,
since RFC 5280 (4.2.1.10) restricts only the kinds that are listed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence

import msgspec

from tokenproxy.launch.routes import is_address

COMMON_NAME = "tokenproxy run CA"
BACKDATED = dt.timedelta(hours=1)
"""For machines and containers whose clocks differ."""
VALID = dt.timedelta(days=7)


class Authority(msgspec.Struct, frozen=True):
    """Certificate and private key, PEM. Never written with its key."""

    cert_pem: str
    key_pem: str


def make_authority(hosts: Sequence[str], valid: dt.timedelta = VALID) -> Authority:
    """A new CA (EC P-256) that may only vouch for ``hosts``: DNS names, literal IP addresses.

    A permitted DNS name permits the names below it too; X.509 cannot say less. Of a name
    with a star (``bedrock-runtime.*.amazonaws.com``) it permits what lies right of it.
    """
    # 60 ms to import, and needed in forward mode only.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    addresses = [host for host in hosts if is_address(host)]
    names = sorted({_right_of_star(host) for host in hosts if host not in addresses})
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    permitted += [x509.IPAddress(ipaddress.ip_network(address)) for address in addresses]
    excluded: list[x509.GeneralName] = []
    if not names:
        excluded.append(x509.DNSName(""))
    if not addresses:
        excluded += [x509.IPAddress(ipaddress.ip_network(all_)) for all_ in ("0.0.0.0/0", "::/0")]

    signs_only = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, COMMON_NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs_only, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted or None, excluded or None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def _right_of_star(host: str) -> str:
    """The smallest domain that holds all hosts of this pattern."""
    labels = host.split(".")
    stars = [at for at, label in enumerate(labels) if "*" in label]
    return ".".join(labels[stars[-1] + 1 :]) if stars else host
