"""Which hosts are opened."""

from __future__ import annotations

import re

import pytest

from tokenproxy.proxy.hosts import host_patterns


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("api.anthropic.com", "api.anthropic.com:443"),
        ("api.anthropic.com", "api.anthropic.com.:8443"),
        ("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.eu-west-1.amazonaws.com:443"),
        ("192.0.2.1", "192.0.2.1:443"),
        ("2001:db8::1", "2001:db8::1:443"),
    ],
)
def test_a_host_is_opened_on_any_port(host: str, address: str) -> None:
    [pattern] = host_patterns([host])
    assert re.search(pattern, address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("api.anthropic.com", "api.anthropic.com.example:443"),
        ("api.anthropic.com", "xapi.anthropic.com:443"),
        ("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.a.b.amazonaws.com:443"),
        ("2001:db8::1", "2001:db8::2:443"),
        ("2001:db8::1", ":443"),
    ],
)
def test_no_other_is(host: str, address: str) -> None:
    [pattern] = host_patterns([host])
    assert not re.search(pattern, address)


def test_where_none_is_to_be_opened_none_is() -> None:
    [pattern] = host_patterns([])
    assert not re.search(pattern, "api.anthropic.com:443")
