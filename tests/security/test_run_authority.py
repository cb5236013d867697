"""The run's authority as OpenSSL sees it, and what of it can be found on the machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.bench import Bench, child_of, proxy_of, wait_until
from tests.real.needs import program
from tokenproxy.launch.authority import Authority, make_authority
from tokenproxy.launch.plan import make_plan
from tokenproxy.proxy.lane.leaf import Leaves

HOSTS = make_plan("forward", {}, {}).hosts
"""Those of a run that was told nothing."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority(HOSTS)


def key_of(authority: Authority) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(authority.key_pem.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def forged(
    authority: Authority,
    names: Sequence[x509.GeneralName],
    *,
    common: str = "",
    key: ec.EllipticCurvePrivateKey | None = None,
    ca: bool = False,
) -> x509.Certificate:
    """What a thief of the key would make: any certificate, well signed."""
    now = dt.datetime.now(dt.UTC)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.encode())
    public = (key or ec.generate_private_key(ec.SECP256R1())).public_key()
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(key_of(authority).public_key())
    attribute = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)] if common else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attribute))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(by, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not common)
    return builder.sign(key_of(authority), hashes.SHA256())


def verified(
    tmp_path: Path, authority: Authority, leaf: bytes, host: str, between: bytes = b""
) -> tuple[bool, str]:
    """What ``openssl verify`` says of a server's certificate."""
    files = {"ca.pem": authority.cert_pem.encode(), "leaf.pem": leaf, "between.pem": between}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    try:
        ipaddress.ip_address(host)
        named = ["-verify_ip", host]
    except ValueError:
        named = ["-verify_hostname", host]
    done = subprocess.run(
        [program("openssl"), "verify", "-x509_strict", "-purpose", "sslserver", *named,
         "-CAfile", "ca.pem", *(["-untrusted", "between.pem"] if between else []), "leaf.pem"],
        cwd=tmp_path, capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    return done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(
    "host", ["api.anthropic.com", "api.openai.com", "bedrock-runtime.eu-west-1.amazonaws.com"]
)
def test_openssl_accepts_our_leaf_for_an_opened_host(
    tmp_path: Path, authority: Authority, host: str
) -> None:
    leaf, _ = Leaves(authority.cert_pem, authority.key_pem)(host)
    accepted, said = verified(tmp_path, authority, leaf, host)
    assert accepted, said


def test_openssl_refuses_our_leaf_for_any_other(tmp_path: Path, authority: Authority) -> None:
    leaf, _ = Leaves(authority.cert_pem, authority.key_pem)("example.com")
    accepted, said = verified(tmp_path, authority, leaf, "example.com")
    assert not accepted
    assert "permitted subtree violation" in said


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["example.com"], "example.com"),
        (["api.anthropic.com", "example.com"], "api.anthropic.com"),
        (["*.github.com"], "a.github.com"),
        (["anthropic.com"], "anthropic.com"),
        (["xapi.anthropic.com"], "xapi.anthropic.com"),
        (["github.com"], "github.com"),
        (["sts.aws.com"], "sts.aws.com"),
        (["google.com"], "google.com"),
        (["127.0.0.1"], "127.0.0.1"),
        (["::1"], "::1"),
    ],
)
def test_openssl_refuses_what_a_thief_of_the_key_would_sign(
    tmp_path: Path, authority: Authority, names: list[str], host: str
) -> None:
    leaf = forged(authority, [general(name) for name in names])
    accepted, said = verified(tmp_path, authority, pem(leaf), host)
    assert not accepted
    assert "subtree violation" in said


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def test_a_thief_can_forge_well_enough_to_be_believed(tmp_path: Path, authority: Authority) -> None:
    """Or the refusals above could have another reason."""
    leaf = forged(authority, [x509.DNSName("api.anthropic.com")])
    accepted, said = verified(tmp_path, authority, pem(leaf), "api.anthropic.com")
    assert accepted, said


def test_nor_by_the_old_name_nor_by_an_authority_below(
    tmp_path: Path, authority: Authority
) -> None:
    old = forged(authority, [], common="example.com")
    assert not verified(tmp_path, authority, pem(old), "example.com")[0]
    key = ec.generate_private_key(ec.SECP256R1())
    between = forged(authority, [], common="below", key=key, ca=True)
    below = Authority(
        pem(between).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
    leaf = forged(below, [x509.DNSName("api.anthropic.com")])
    accepted, said = verified(tmp_path, authority, pem(leaf), "api.anthropic.com", pem(between))
    assert not accepted
    assert "path length" in said


# -- on the machine -----------------------------------------------------------------------

WAITS = "import os, sys, time; open('told', 'w').write(os.environ['NODE_EXTRA_CA_CERTS'])"
KEY = b"PRIVATE KEY"


def test_the_key_is_in_no_file_argument_or_variable_and_nothing_remains(bench: Bench) -> None:
    waits = f"{WAITS}\nwhile not os.path.exists('over'): time.sleep(0.02)"
    run = bench.start("run", "--mode", "forward", "--", sys.executable, "-c", waits)
    try:
        told = bench.work / "told"
        wait_until(lambda: told.exists() and told.read_text(), 30)
        command = child_of(run, lambda line: "told" in line)
        certificate = Path(told.read_text())
        assert b"BEGIN CERTIFICATE" in certificate.read_bytes()
        assert found(bench.root) == []
        for process in (psutil.Process(run.pid), proxy_of(run), command):
            place = Path(f"/proc/{process.pid}")
            assert KEY not in (place / "environ").read_bytes()
            assert KEY not in (place / "cmdline").read_bytes()
    finally:
        (bench.work / "over").touch()
        run.communicate(timeout=30)
    assert not certificate.parent.exists()
    assert list(bench.state.rglob("*.pem")) == []


def test_nor_does_anything_after_all_was_killed(bench: Bench) -> None:
    run = bench.start("run", "--mode", "forward", "--", "sleep", "60")
    proxy = proxy_of(run)
    wait_until(lambda: list(bench.state.rglob("*.pem")), 30)
    command = child_of(run, lambda line: line.startswith("sleep"))
    for process in (psutil.Process(run.pid), proxy, command):
        process.kill()
    run.communicate(timeout=10)
    assert found(bench.root) == []
    assert bench.tokenproxy("run", "--", "true").returncode == 0
    wait_until(lambda: not list(bench.state.rglob("*.pem")), 30)


def test_a_gateways_key_is_its_users_alone(bench: Bench) -> None:
    gateway = bench.start("serve", "--listen", "127.0.0.1:0")
    try:
        assert gateway.stderr is not None
        gateway.stderr.readline()
        (key,) = found(bench.root)
    finally:
        gateway.terminate()
        gateway.communicate(timeout=20)
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def found(root: Path) -> list[Path]:
    """Files that hold a private key."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in files if KEY in path.read_bytes()]


def test_the_search_finds_one(bench: Bench) -> None:
    (bench.root / "x").write_text(json.dumps({"key": make_authority(["a.example"]).key_pem}))
    assert found(bench.root) == [bench.root / "x"]
