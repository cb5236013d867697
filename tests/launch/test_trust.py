from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest

from tokenproxy.launch import trust
from tokenproxy.launch.authority import make_authority


def block(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system.pem").write_text("# Comment\n" + block("system") + block("both"))
    (tmp_path / "certifi").mkdir()
    (tmp_path / "certifi" / "cacert.pem").write_text(block("both").replace("\n", "\r\n"))

    class Spec:
        origin = str(tmp_path / "certifi" / "__init__.py")

    monkeypatch.setattr(
        trust, "SYSTEM_FILES", ("/none", str(tmp_path / "system.pem"), "/etc/hosts")
    )
    monkeypatch.setattr(trust, "find_spec", lambda _name: Spec)


def write(tmp_path: Path, env: Mapping[str, str]) -> dict[str, list[str]]:
    """Variable -> names of the certificates in its file."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    variables = trust.write_trust(run_dir, block("ours"), env)
    files = {path: Path(path).read_text() for path in set(variables.values())}
    for path, text in files.items():
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert text.count("BEGIN") == text.count("END")
    return {name: files[path].split()[2::5] for name, path in variables.items()}


def test_by_default_clients_trust_the_system_and_us(tmp_path: Path) -> None:
    assert write(tmp_path, {}) == {
        "NODE_EXTRA_CA_CERTS": ["ours"],
        "DENO_CERT": ["ours"],
        "SSL_CERT_FILE": ["system", "both", "ours"],
        "REQUESTS_CA_BUNDLE": ["system", "both", "ours"],
        "CURL_CA_BUNDLE": ["system", "both", "ours"],
        "AWS_CA_BUNDLE": ["system", "both", "ours"],
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ["system", "both", "ours"],
        "HTTPLIB2_CA_CERTS": ["system", "both", "ours"],
    }


def test_the_users_own_files_are_kept_each_to_its_variable(tmp_path: Path) -> None:
    for name in ("extra", "ssl", "requests", "codex"):
        (tmp_path / name).write_text(f"Subject: {name}\n{block(name)}-----BEGIN PRIVATE KEY-----\n")
    env = {
        "NODE_EXTRA_CA_CERTS": str(tmp_path / "extra"),
        "SSL_CERT_FILE": str(tmp_path / "ssl"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "requests"),
        "CODEX_CA_CERTIFICATE": str(tmp_path / "codex"),
    }
    assert write(tmp_path, env) == {
        "NODE_EXTRA_CA_CERTS": ["extra", "ours"],
        "DENO_CERT": ["ours"],
        "SSL_CERT_FILE": ["ssl", "ours"],
        "REQUESTS_CA_BUNDLE": ["requests", "ours"],
        "CURL_CA_BUNDLE": ["ssl", "ours"],
        "AWS_CA_BUNDLE": ["system", "both", "ours"],
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ["system", "both", "ours"],
        "HTTPLIB2_CA_CERTS": ["system", "both", "ours"],
        "CODEX_CA_CERTIFICATE": ["codex", "ours"],
    }


@pytest.mark.parametrize("name", ["NIX_SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"])
def test_what_comes_before_is_led_to_us_where_it_is_set(tmp_path: Path, name: str) -> None:
    (tmp_path / "own").write_text(block("own"))
    made = write(tmp_path, {name: str(tmp_path / "own")})
    assert made[name] == ["own", "ours"]
    assert made["SSL_CERT_FILE"] == ["system", "both", "ours"]


def test_requests_reads_curls_variable_and_directories(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    (directory / "below").mkdir(parents=True)
    (directory / "a.pem").write_text(block("a"))
    (directory / "b.0").write_text(block("b"))
    env = {"CURL_CA_BUNDLE": str(directory)}
    made = write(tmp_path, env)
    assert made["REQUESTS_CA_BUNDLE"] == made["CURL_CA_BUNDLE"] == ["a", "b", "ours"]
    assert made["SSL_CERT_FILE"] == ["system", "both", "ours"]


def test_curl_reads_a_list_of_directories(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.pem").write_text(block("a"))
    made = write(tmp_path, {"SSL_CERT_DIR": f"/none:{tmp_path / 'd'}"})
    assert made["CURL_CA_BUNDLE"] == ["a", "ours"]


@pytest.mark.parametrize("value", ["/no/such/file", "/dev/null", ""])
def test_a_file_that_cannot_be_read_counts_as_empty(tmp_path: Path, value: str) -> None:
    made = write(tmp_path, {"NODE_EXTRA_CA_CERTS": value})
    assert made["NODE_EXTRA_CA_CERTS"] == ["ours"]


def test_the_files_go_away(tmp_path: Path) -> None:
    write(tmp_path, {})
    (tmp_path / "run" / "proxy.log").touch()
    trust.remove_trust(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["proxy.log"]


def test_a_real_bundle_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ours = make_authority(["a.example"]).cert_pem
    variables = trust.write_trust(tmp_path, ours, {})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(variables["SSL_CERT_FILE"])
    subjects = [dict(entry[0] for entry in ca["subject"]) for ca in context.get_ca_certs()]  # type: ignore[misc] # nested tuples
    assert any(subject.get("commonName") == "tokenproxy run CA" for subject in subjects)
    assert len(subjects) > 50
