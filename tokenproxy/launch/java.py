"""Java behind the proxy: it heeds neither ``HTTPS_PROXY`` nor any variable of a CA file.

Options in ``JAVA_TOOL_OPTIONS`` reach every JVM, but each then prints a line on its
stderr. So they are added only where the user has set the variable and has that
line anyway. Elsewhere Java's calls are seen in reverse mode.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from tokenproxy.launch import trust

VARIABLE = "JAVA_TOOL_OPTIONS"
_PASSWORD = "changeit"  # noqa: S105 - Java's customary one: certificates are no secret
_TRUST_STORE = "-Djavax.net.ssl.trustStore="
_PROXY = "-Dhttps.proxyHost="


def for_child(run_dir: Path, ca_pem: str, env: Mapping[str, str], port: int) -> dict[str, str]:
    """The variable with our options added, where the user has set it; else nothing.

    A trust store that the user names is left in place: what is in it is not ours to add to.
    So is a proxy: Java's calls may have no other way out, and it need not be the one that
    ``HTTPS_PROXY`` names, which we go through.

    Raises:
        OSError: The trust store cannot be written into ``run_dir``.
    """
    options = env.get(VARIABLE, "")
    path = run_dir / "java.p12"
    quote = "'" if '"' in str(path) else '"'
    if not options.strip() or _TRUST_STORE in options or _PROXY in options or quote in str(path):
        return {}
    store = _write_store(path, ca_pem)
    return {
        VARIABLE: " ".join(
            (
                options,
                f"{_PROXY}127.0.0.1",
                f"-Dhttps.proxyPort={port}",
                f"{_TRUST_STORE}{quote}{store}{quote}",  # a JVM cuts its options at blanks
                "-Djavax.net.ssl.trustStoreType=PKCS12",
                f"-Djavax.net.ssl.trustStorePassword={_PASSWORD}",
            )
        )
    }


def _write_store(path: Path, ca_pem: str) -> Path:
    """A PKCS #12 trust store of what the system trusts and the run's CA, 0600."""
    # 60 ms to import, and needed by Java's users only.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PKCS12Certificate,
        serialize_java_truststore,
    )

    blocks = dict.fromkeys([*trust.system_certificates(), ca_pem.encode()])
    certificates = []
    with warnings.catch_warnings(action="ignore"):  # old roots with odd serial numbers
        for number, block in enumerate(blocks):
            try:
                found = x509.load_pem_x509_certificate(block)
            except ValueError:  # one that Java could not read either
                continue
            certificates.append(PKCS12Certificate(found, b"%d" % number))
    store = serialize_java_truststore(certificates, BestAvailableEncryption(_PASSWORD.encode()))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(store)
    return path
