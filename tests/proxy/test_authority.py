"""mitmproxy's leaves, as OpenSSL judges them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509

from tokenproxy.launch.authority import make_authority
from tokenproxy.proxy.authority import RunAuthority


@pytest.mark.parametrize(("host", "named"), [("api.example", 1), ("10.1.2.3", 0), ("fd00::1", 0)])
def test_an_address_is_no_common_name(host: str, named: int) -> None:
    """OpenSSL would hold it to the *names* that are permitted."""
    made = make_authority(["api.example", "10.1.2.3", "fd00::1"])
    asked = SimpleNamespace(
        client=SimpleNamespace(sni=None), server=SimpleNamespace(address=(host, 443))
    )
    entry = RunAuthority(made.cert_pem, made.key_pem).get_cert(cast("Any", asked))
    leaf = x509.load_pem_x509_certificate(entry.cert.to_pem())
    common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert len(common) == named
    (name,) = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert str(name.value) == host
