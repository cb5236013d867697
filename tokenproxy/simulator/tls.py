"""A throwaway certificate authority and a certificate for the APIs' hosts."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import msgspec

HOST = "api.anthropic.com"
MORE_HOSTS = (
    "api.openai.com",
    "chatgpt.com",
    "generativelanguage.googleapis.com",
    "cloudcode-pa.googleapis.com",
    "aiplatform.googleapis.com",
    "us-east5-aiplatform.googleapis.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "api.deepseek.com",
    "api.mistral.ai",
    "api.x.ai",
    "api.groq.com",
    "openrouter.ai",
    "api.cohere.com",
    "api.perplexity.ai",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
)
"""Hosts of the other providers, good for each certificate too."""
LIFETIME = dt.timedelta(days=1)


class Certificates(msgspec.Struct, frozen=True):
    """Where the files are."""

    ca: Path
    """The authority's certificate: what a client has to trust."""
    chain: Path
    """Certificate and key of the host."""

    def context(self) -> ssl.SSLContext:
        """A server's context; HTTP/1.1 only, as the simulator speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain)
        context.set_alpn_protocols(["http/1.1"])
        return context


def throwaway(directory: Path, host: str = HOST) -> Certificates:
    """Make in ``directory`` an authority and a certificate for ``host``, the others, 127.0.0.1."""
    # Imported here: only servers with TLS need it, and it is not small.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    now = dt.datetime.now(dt.UTC)

    def draft(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("simulator CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFETIME)
            .not_valid_after(now + LIFETIME)
        )

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    signs = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        draft("simulator CA", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    hosts = [x509.DNSName(name) for name in dict.fromkeys((host, *MORE_HOSTS))]
    names = [*hosts, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        draft(host, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    made = Certificates(directory / "ca.pem", directory / "chain.pem")
    made.ca.write_bytes(ca.public_bytes(pem))
    made.chain.touch(mode=0o600)
    made.chain.write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
