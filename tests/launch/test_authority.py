from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokenproxy.launch.authority import Authority, make_authority


def certificate(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.cert_pem.encode())


def test_it_is_a_ca_of_short_life_that_signs_leaves_only() -> None:
    made = certificate(make_authority(["api.anthropic.com"]))
    assert made.subject == made.issuer
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "tokenproxy run CA"
    now = dt.datetime.now(dt.UTC)
    assert made.not_valid_before_utc < now - dt.timedelta(minutes=50)
    assert now < made.not_valid_after_utc < now + dt.timedelta(days=8)
    basic = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    public = made.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    identifier = made.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert identifier.value == x509.SubjectKeyIdentifier.from_public_key(public)


def test_its_reach_is_the_hosts() -> None:
    made = certificate(make_authority(["a.example", "10.1.2.3", "::1"]))
    constraints = made.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [
        x509.DNSName("a.example"),
        x509.IPAddress(ipaddress.ip_network("10.1.2.3/32")),
        x509.IPAddress(ipaddress.ip_network("::1/128")),
    ]
    assert constraints.value.excluded_subtrees is None


def test_a_kind_of_name_without_a_host_is_excluded() -> None:
    named = certificate(make_authority(["a.example"]))
    constraints = named.extensions.get_extension_for_class(x509.NameConstraints).value
    assert constraints.excluded_subtrees == [
        x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
        x509.IPAddress(ipaddress.ip_network("::/0")),
    ]
    numbered = certificate(make_authority(["10.1.2.3"]))
    constraints = numbered.extensions.get_extension_for_class(x509.NameConstraints).value
    assert constraints.excluded_subtrees == [x509.DNSName("")]


def test_every_run_has_its_own() -> None:
    assert make_authority(["a.example"]).key_pem != make_authority(["a.example"]).key_pem


@pytest.mark.parametrize(
    ("host", "accepted"),
    [("api.anthropic.com", True), ("example.com", False), ("127.0.0.1", False)],
)
def test_a_client_accepts_a_leaf_for_an_intercepted_host_only(
    tmp_path: Path, host: str, accepted: bool
) -> None:
    authority = make_authority(["api.anthropic.com"])
    client = ssl.create_default_context(cadata=authority.cert_pem)
    error = handshake(client, leaf(authority, host, tmp_path), host)
    if accepted:
        assert error is None
    else:
        assert "permitted subtree" in str(error) or "excluded subtree" in str(error)


def leaf(authority: Authority, host: str, directory: Path) -> ssl.SSLContext:
    """A server for ``host`` under ``authority``."""
    ca = certificate(authority)
    ca_key = serialization.load_pem_private_key(authority.key_pem.encode(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    path = directory / "leaf.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLError | None:
    """The client's complaint, if it has one."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=host).close()
    except ssl.SSLError as error:
        return error
    finally:
        ours.close()
        thread.join()
    return None
