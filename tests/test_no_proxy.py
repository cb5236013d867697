from __future__ import annotations

import pytest

from tokenproxy.no_proxy import entries, for_child, hides


def test_entries_of_both_spellings_are_taken() -> None:
    env = {"no_proxy": "a.example, b.example", "NO_PROXY": "b.example c.example"}
    assert entries(env) == ("a.example", "b.example", "c.example")
    assert entries({}) == ()


@pytest.mark.parametrize(
    "entry",
    [
        *("*", "api.anthropic.com", "API.Anthropic.Com", ".anthropic.com", "*.anthropic.com"),
        *("anthropic.com", "api.anthropic.com:443", "com", "api.anthropic.com."),
    ],
)
def test_what_hides_a_host(entry: str) -> None:
    assert hides(entry, "api.anthropic.com")


@pytest.mark.parametrize(
    "entry", ["", ".", "thropic.com", "console.anthropic.com", "10.0.0.0/8", "::1", "api"]
)
def test_what_does_not(entry: str) -> None:
    assert not hides(entry, "api.anthropic.com")


@pytest.mark.parametrize(
    "entry",
    [
        *("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1.amazonaws.com"),
        *(".eu-west-1.amazonaws.com", "*.eu-west-1.amazonaws.com:443", "amazonaws.com", "com"),
    ],
)
def test_what_hides_a_host_of_some_region(entry: str) -> None:
    assert hides(entry, "bedrock-runtime.*.amazonaws.com")


@pytest.mark.parametrize("entry", ["west-1.eu.amazonaws.com", "s3.eu-west-1.amazonaws.com", "aws"])
def test_what_does_not_hide_one_of_any_region(entry: str) -> None:
    assert not hides(entry, "bedrock-runtime.*.amazonaws.com")


@pytest.mark.parametrize(
    ("entry", "host"),
    [("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), ("[::1]:80", "::1"), ("::/0", "::1")],
)
def test_addresses(entry: str, host: str) -> None:
    assert hides(entry, host)
    assert not hides(entry, "192.0.2.1")


def test_the_commands_list() -> None:
    own = ("corp.example", "anthropic.com", "127.0.0.1")
    assert for_child(own, ["api.anthropic.com"], ["otel.example"]) == (
        "corp.example,127.0.0.1,localhost,otel.example"
    )


def test_an_intercepted_host_on_loopback_is_not_excepted() -> None:
    assert for_child((), ["localhost"], ["localhost"]) == "127.0.0.1"
