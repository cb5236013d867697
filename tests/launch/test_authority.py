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
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.launch.authority import (
    COMMON_NAME,
    Authority,
    Terms,
    make_authority,
    private_key,
    to_be_signed,
)
from tokenproxy.launch.routes import is_address


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


HOSTS = st.lists(
    st.one_of(
        st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,20}){1,3}", fullmatch=True),
        st.sampled_from(["bedrock-runtime.*.amazonaws.com", "*.example", "10.1.2.3", "::1"]),
        st.ip_addresses().map(str),
    ),
    max_size=12,
)
SECONDS = st.integers(0, 4_102_444_800)  # to 2100: dates are written in two ways


@given(hosts=HOSTS, serial=st.integers(1, 2**159 - 1), begin=SECONDS, end=SECONDS)
def test_it_is_what_cryptography_writes_byte_for_byte(
    hosts: list[str], serial: int, begin: int, end: int
) -> None:
    end = max(begin, end)
    public = KEY.public_key()
    ours = to_be_signed(
        Terms(hosts=tuple(hosts), serial=serial, begin=begin, end=end),
        public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
        x509.SubjectKeyIdentifier.from_public_key(public).digest,
    )
    assert ours == by_cryptography(hosts, serial, begin, end).tbs_certificate_bytes


KEY = ec.generate_private_key(ec.SECP256R1())


def by_cryptography(hosts: list[str], serial: int, begin: int, end: int) -> x509.Certificate:
    """The same authority from cryptography's builder."""
    addresses = [host for host in hosts if is_address(host)]
    names = {host.rpartition("*.")[2] for host in hosts if host not in addresses}
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    permitted += [x509.IPAddress(ipaddress.ip_network(address)) for address in addresses]
    excluded: list[x509.GeneralName] = [] if names else [x509.DNSName("")]
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
    public = KEY.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(dt.datetime.fromtimestamp(begin, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(end, dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs_only, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.NameConstraints(permitted or None, excluded or None), critical=True)
        .sign(KEY, hashes.SHA256())
    )


def test_its_key_is_written_as_cryptography_writes_it() -> None:
    for secret in (1, 2**200 + 1, KEY.private_numbers().private_value):
        key = ec.derive_private_key(secret, ec.SECP256R1())
        point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        assert private_key(secret, point) == key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def test_key_and_signature_are_the_certificates() -> None:
    made = make_authority(["a.example"])
    key = serialization.load_pem_private_key(made.key_pem.encode(), None)
    assert key.public_key() == certificate(made).public_key()
    certificate(made).verify_directly_issued_by(certificate(made))
    assert certificate(made).public_bytes(serialization.Encoding.PEM).decode() == made.cert_pem


def test_a_cryptography_that_wants_its_own_constructor_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Strict(ec.ECDSA):
        """Has more to read than its public face."""

        def __init__(self, algorithm: hashes.HashAlgorithm) -> None:
            super().__init__(algorithm)
            self.made = True

        def __getattribute__(self, name: str) -> object:
            if name == "algorithm":
                assert object.__getattribute__(self, "made")
            return super().__getattribute__(name)

    monkeypatch.setattr(ec, "ECDSA", Strict)
    made = make_authority(["a.example"])
    certificate(made).verify_directly_issued_by(certificate(made))


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
