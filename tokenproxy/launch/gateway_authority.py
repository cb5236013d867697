"""The certificate authority of a standing gateway: kept, because many clients come to trust it.

Unlike a run's, its key lies in a file: 0600 in a 0700 directory, for this user
alone, still constrained to the intercepted hosts. Other hosts make another one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tokenproxy.launch.authority import Authority, make_authority
from tokenproxy.paths import make_private

VALID = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)


def gateway_authority(state: Path, hosts: Sequence[str]) -> tuple[Authority, Path]:
    """The kept authority for these hosts and its certificate's path; made anew when it ages.

    Raises:
        OSError: It cannot be read or kept.
    """
    digest = hashlib.sha256("\n".join(sorted(hosts)).encode()).hexdigest()[:12]
    directory = state / "gateway-ca" / digest
    make_private(directory)
    certificate, key = directory / "ca.pem", directory / "ca-key.pem"
    with suppress(FileNotFoundError, ValueError):
        kept = Authority(certificate.read_text(), key.read_text())
        if _fresh(kept):
            return kept, certificate
    made = make_authority(hosts, valid=VALID)
    _replace(key, made.key_pem, 0o600)
    _replace(certificate, made.cert_pem, 0o644)
    return made, certificate


def _fresh(kept: Authority) -> bool:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate(kept.cert_pem.encode())
    key = load_pem_private_key(kept.key_pem.encode(), password=None)
    # Two gateways that start at once may leave one's key beside the other's certificate.
    matches = key.public_key() == certificate.public_key()
    return matches and certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE


def _replace(path: Path, text: str, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:  # noqa: PTH123 - a descriptor
        file.write(text)
    fresh.replace(path)
