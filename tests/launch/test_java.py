from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from tokenproxy.launch import java
from tokenproxy.launch.authority import make_authority

OURS = make_authority(["a.example"]).cert_pem


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"JAVA_TOOL_OPTIONS": " "},
        {"JAVA_TOOL_OPTIONS": "-Djavax.net.ssl.trustStore=/corp.p12"},
        {"JAVA_TOOL_OPTIONS": "-Dhttps.proxyHost=proxy.corp -Dhttps.proxyPort=3128"},
    ],
)
def test_a_jvm_is_not_told_what_it_would_print(tmp_path: Path, env: dict[str, str]) -> None:
    assert java.for_child(tmp_path, OURS, env, 4711) == {}
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_users_gain_ours(tmp_path: Path) -> None:
    made = java.for_child(tmp_path, OURS, {"JAVA_TOOL_OPTIONS": "-Xmx1g"}, 4711)
    options = made["JAVA_TOOL_OPTIONS"].split()
    assert options[:3] == ["-Xmx1g", "-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort=4711"]
    store = Path(options[3].removeprefix("-Djavax.net.ssl.trustStore=").strip('"'))
    assert store.stat().st_mode & 0o777 == 0o600
    with warnings.catch_warnings(action="ignore"):  # the system's old roots
        held = pkcs12.load_pkcs12(store.read_bytes(), b"changeit").additional_certs
    subjects = [one.certificate.subject.rfc4514_string() for one in held]
    assert "CN=tokenproxy run CA" in subjects
    assert len(subjects) > 50


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("a b", '-Djavax.net.ssl.trustStore="{}/java.p12"'),
        ('a "b"', "-Djavax.net.ssl.trustStore='{}/java.p12'"),
    ],
)
def test_a_directory_with_a_blank_does_not_cut_the_option(
    tmp_path: Path, name: str, option: str
) -> None:
    directory = tmp_path / name
    directory.mkdir()
    made = java.for_child(directory, OURS, {"JAVA_TOOL_OPTIONS": "-Xmx1g"}, 4711)
    assert option.format(directory) in made["JAVA_TOOL_OPTIONS"]


def test_a_directory_that_no_quote_holds_leaves_java_alone(tmp_path: Path) -> None:
    directory = tmp_path / "\"'"
    directory.mkdir()
    assert java.for_child(directory, OURS, {"JAVA_TOOL_OPTIONS": "-Xmx1g"}, 4711) == {}
