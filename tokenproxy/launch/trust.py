"""CA files for the command: what it would trust without us, and the run's CA.

Two kinds of variable lead clients to CA files. Those of ``EXTRA`` *add* to
what a client trusts anyway. The others *replace* it, so each gets a file of its
own base: the certificates that the same client would have read from the user's
variables, or else the system's (and certifi's, which Python clients use).
Nothing that a user distrusted by naming a narrower file is trusted again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

EXTRA = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
"""Node and Bun; Deno."""

BASES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # What each client reads: the first group with a variable that is set.
    "SSL_CERT_FILE": (("SSL_CERT_FILE",),),
    "REQUESTS_CA_BUNDLE": (("REQUESTS_CA_BUNDLE",), ("CURL_CA_BUNDLE",)),
    "CURL_CA_BUNDLE": (("CURL_CA_BUNDLE",), ("SSL_CERT_FILE", "SSL_CERT_DIR")),
    "AWS_CA_BUNDLE": (("AWS_CA_BUNDLE",),),
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": (("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",),),
    "HTTPLIB2_CA_CERTS": (("HTTPLIB2_CA_CERTS",),),
}
"""OpenSSL, Go, Ruby, rustls-native-certs and Python's ssl (httpx, aiohttp); requests; curl;
boto3 and the AWS CLI; gRPC; httplib2 (Google's older API client)."""

WHERE_SET: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "CODEX_CA_CERTIFICATE": (("CODEX_CA_CERTIFICATE",),),
    "NIX_SSL_CERT_FILE": (("NIX_SSL_CERT_FILE",),),
    "WEBSOCKET_CLIENT_CA_BUNDLE": (("WEBSOCKET_CLIENT_CA_BUNDLE",),),
}
"""Variables that come before one of the above, so that they matter only where they are set.

Codex; programs from Nix; Python's websocket-client."""

SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine, the BSDs
)

_BLOCK = re.compile(
    # Base64 has no hyphen: without one to look for, a bundle is read ten times as fast.
    rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]++"
    rb"-----END (?:TRUSTED |X509 )?CERTIFICATE-----",
)


def write_trust(run_dir: Path, ca_pem: str, env: Mapping[str, str]) -> dict[str, str]:
    """Write the files (0600) into ``run_dir``; returns variable -> path.

    Raises:
        OSError: A file of ours cannot be written. Files of the user's that cannot be
            read count as empty: their clients have said so, or will.
    """
    ours = ca_pem.encode()
    variables = {
        name: _write(run_dir / f"{name.lower()}.pem", (*_named((name,), env), ours))
        for name in EXTRA
    }
    common: str | None = None
    where_set = {name: groups for name, groups in WHERE_SET.items() if env.get(name)}
    for variable, groups in {**BASES, **where_set}.items():
        group = next((names for names in groups if any(env.get(name) for name in names)), None)
        if group is not None:
            path = run_dir / f"{variable.lower()}.pem"
            variables[variable] = _write(path, (*_named(group, env), ours))
            continue
        common = common or _write(run_dir / "bundle.pem", (*system_certificates(), ours))
        variables[variable] = common
    return variables


def write_upstream_trust(run_dir: Path, env: Mapping[str, str]) -> str:
    """Write the roots that *we* verify providers with into ``run_dir``; returns the path.

    What the user's clients would have trusted on the way that we now go for them: the
    system's, and every file that the user's variables add or put in its place (the root
    of a company's inspecting proxy, say). Never the run's own CA.
    """
    variables = (
        *EXTRA,
        *dict.fromkeys(
            name
            for groups in (*BASES.values(), *WHERE_SET.values())
            for names in groups
            for name in names
        ),
    )
    blocks = (*system_certificates(), *_named(variables, env))
    return _write(run_dir / "upstream.pem", blocks)


def remove_trust(run_dir: Path) -> None:
    """Take the files away again."""
    for path in (*run_dir.glob("*.pem"), *run_dir.glob("*.p12")):
        path.unlink(missing_ok=True)


def system_certificates() -> list[bytes]:
    """What programs on this machine trust when nothing else is said."""
    files = [next((file for file in SYSTEM_FILES if os.path.exists(file)), "")]  # noqa: PTH110 - strings serve
    certifi = find_spec("certifi")  # finds it without running it
    if certifi is not None and certifi.origin:
        files.append(str(Path(certifi.origin).with_name("cacert.pem")))
    return [block for file in files if file for block in _certificates(Path(file))]


def _named(variables: Iterable[str], env: Mapping[str, str]) -> list[bytes]:
    """Certificates in the files, or directories, that ``variables`` name."""
    blocks = []
    for variable in variables:
        # SSL_CERT_DIR may be a list, as PATH is; a file's name is one.
        value = env.get(variable, "")
        for name in value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]:
            path = Path(name)
            files = sorted(path.iterdir()) if name and path.is_dir() else [path] if name else []
            blocks += [block for file in files for block in _certificates(file)]
    return blocks


def _certificates(file: Path) -> tuple[bytes, ...]:
    try:
        status = file.stat()
        return _read(file, status.st_mtime_ns, status.st_size)
    except OSError:
        return ()


@lru_cache(maxsize=1024)
def _read(file: Path, changed_ns: int, size: int) -> tuple[bytes, ...]:  # noqa: ARG001 - for the cache
    """The file's certificates. Several variables often name the same bundle."""
    return tuple(found.group() for found in _BLOCK.finditer(file.read_bytes()))


def _write(path: Path, blocks: Iterable[bytes]) -> str:
    different = dict.fromkeys(blocks)  # most are the same to the byte
    unique = {block.translate(None, b" \t\n\r\v\f"): block.strip() for block in different}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(block + b"\n" for block in unique.values())
    return str(path)
