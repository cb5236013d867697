"""Certificates of opened hosts, under the run's own authority."""

from __future__ import annotations

import datetime as dt

from tokenproxy.proxy.lane.trust import Leaf

VALID = dt.timedelta(days=365)
BACKDATED = dt.timedelta(days=2)
"""For machines and containers whose clocks differ."""


class Leaves:
    """Makes leaves; all of a process have one key (EC P-256), which never leaves it."""

    def __init__(self, ca_cert_pem: str, ca_key_pem: str) -> None:
        """Prepare.

        Args:
            ca_cert_pem: The authority's certificate.
            ca_key_pem: Its key.
        """
        self._ca = ca_cert_pem.encode(), ca_key_pem.encode()

    def __call__(self, host: str) -> Leaf:
        """Certificate and key for a host's name; no other name is in it."""
        # Imported here: reverse mode has no need of it.
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509 import oid

        ca = x509.load_pem_x509_certificate(self._ca[0])
        ca_key = serialization.load_pem_private_key(self._ca[1], password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - launch.authority makes it
        key = ec.generate_private_key(ec.SECP256R1())
        # RFC 5280, 4.2.1.1: an issuer with an identifier is named by it, byte for byte.
        issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID - BACKDATED)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )
        return (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
