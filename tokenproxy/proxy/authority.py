"""TLS for intercepted hosts: leaves under the run's own CA, key in memory only."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mitmproxy import certs, http
from mitmproxy.proxy import context

from tokenproxy.proxy.engine import tlsconfig


class RunAuthority(tlsconfig.TlsConfig):
    """mitmproxy's TLS addon over a CA that never touches a file or a trust store.

    Leaves carry exactly the name that the client asked for: the CA's name
    constraints refuse any other.
    """

    def __init__(self, cert_pem: str | None, key_pem: str | None) -> None:
        if not cert_pem or not key_pem:
            return
        ca = x509.load_pem_x509_certificate(cert_pem.encode())
        key = load_pem_private_key(key_pem.encode(), password=None)
        self.certstore = certs.CertStore(
            default_privatekey=key,  # type: ignore[arg-type] # EC works; mitmproxy's own CAs are RSA
            default_ca=certs.Cert(ca),
            default_chain_file=None,
            default_crl=b"",
            dhparams=certs.DHParams(b""),  # falsy: ECDHE only
        )

    def configure(self, updated: set[str]) -> None:
        """Keep the base class from making a CA of its own under ``~/.mitmproxy``."""

    def running(self) -> None:
        """Likewise."""

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer nothing ourselves: the base class serves a revocation list by a magic path."""

    def get_cert(self, conn_context: context.Context) -> certs.CertStoreEntry:
        """The leaf for the host that this client believes it talks to."""
        address = conn_context.server.address
        host = conn_context.client.sni or (address[0] if address else "localhost")
        name = tlsconfig._ip_or_dns_name(host)  # noqa: SLF001 - mitmproxy's own IP-or-name rule
        # OpenSSL holds a common name that could be a host's to the names that are permitted; an
        # address is among the addresses only.
        common = host if isinstance(name, x509.DNSName) else None
        return self.certstore.get_cert(common, [name], None, None)
