from __future__ import annotations

import re

import pytest

from tokenproxy.proxy.hosts import host_patterns, on_the_wire

UMLAUT = "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example"


@pytest.mark.parametrize("place", ["xn--bcher-kva.example:443", f"{UMLAUT}:443", f"{UMLAUT}.:8443"])
def test_an_international_host_is_opened_by_both_its_names(place: str) -> None:
    assert any(re.search(one, place) for one in host_patterns(["xn--bcher-kva.example"]))


def test_no_host_opens_nothing() -> None:
    assert not any(re.search(one, "api.example:443") for one in host_patterns([]))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (UMLAUT, "xn--bcher-kva.example"),
        ("my_host.a", "my_host.a"),
        ("\N{EURO SIGN}..b", "\N{EURO SIGN}..b"),
    ],
)
def test_a_name_is_what_certificates_have(host: str, name: str) -> None:
    assert on_the_wire(host) == name


def test_what_looks_encoded_and_is_not_is_left() -> None:
    assert host_patterns(["xn--\u007f-.example"])
