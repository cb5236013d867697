"""Throwaway certificates for both ends of a connection."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=1)


class Authority:
    """One that signs; ``file`` is its own certificate, what a peer has to trust."""

    def __init__(self, directory: Path, name: str) -> None:
        """Make one.

        Args:
            directory: Existing directory for all files.
            name: Its name, and the beginning of its files' names.
        """
        self._directory = directory
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = directory / f"{name}.crt"
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        own = self._draft(name, self._key).add_extension(constraints, critical=True)
        self._write(own, self.file)

    def issue(self, host: str) -> tuple[Path, Path]:
        """Files of a certificate and its key, good for a server at ``host`` and for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        draft = (
            self._draft(host, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        )
        file = self._directory / f"{self._name}-{host}.crt"
        self._write(draft, file)
        key_file = file.with_suffix(".key")
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file, key_file

    def _draft(self, subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_common(subject))
            .issuer_name(_common(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFETIME)
            .not_valid_after(now + LIFETIME)
        )

    def _write(self, draft: x509.CertificateBuilder, file: Path) -> None:
        signed = draft.sign(self._key, hashes.SHA256())
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
