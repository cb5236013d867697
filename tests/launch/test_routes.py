from __future__ import annotations

import pytest

from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.routes import parse_labels, parse_routes, split_variable, why_no_server


def test_routes() -> None:
    given = [
        "API.Anthropic.com.=http://127.0.0.1:8080/x",
        "10.0.0.1=https://sim",
        "a.b=http://[::1]:1",
    ]
    assert parse_routes(given) == {
        "api.anthropic.com": "http://127.0.0.1:8080/x",
        "10.0.0.1": "https://sim",
        "a.b": "http://[::1]:1",
    }


def test_of_two_routes_for_a_host_the_later_holds() -> None:
    assert parse_routes(["h=http://a", "H=http://b"]) == {"h": "http://b"}


@pytest.mark.parametrize(
    ("route", "complaint"),
    [
        ("api.anthropic.com", "is not HOST=URL"),
        ("", "is not HOST=URL"),
        ("=http://x", "is not a host name"),
        ("https://api.anthropic.com=http://x", "is not a host name"),
        ("api.anthropic.com:443=http://x", "is not a host name"),
        ("a b=http://x", "is not a host name"),
        ("h=127.0.0.1:80", "is not an http"),
        ("h=ftp://x", "is not an http"),
        ("h=http://", "is not an http"),
        ("h=", "is not an http"),
        ("h=http://x:99999", "is not a URL"),
        ("h=http://[x", "is not a URL"),
        ("h=http://a b", "'a b' is not a host's name"),
        ("h=http://x/a b", "is not a URL"),
        ("h=http://x/?q=1", "must end with its path"),
    ],
)
def test_what_is_no_route(route: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as raised:
        parse_routes([route])
    assert raised.value.status == 2
    assert "\n" not in str(raised.value)


def test_labels() -> None:
    assert parse_labels(["team=search", "note=a=b, c", "empty="]) == {
        "team": "search",
        "note": "a=b, c",
        "empty": "",
    }


@pytest.mark.parametrize("label", ["team", "=x", " =x"])
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        parse_labels([label])


def test_a_variable_is_split_by_commas_and_white_space() -> None:
    assert split_variable(" a=b,c=d\ne=f ,, ") == ["a=b", "c=d", "e=f"]


@pytest.mark.parametrize(
    "route",
    [
        "gw=ftp://me:hunter2@x",
        "gw=http://me:hunter2@x/?q",
        "http://me:hunter2@x",
        "a b=//me:hunter2@x",
    ],
)
def test_a_password_is_not_shown(route: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_routes([route])
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@x:99999",
        "http://me:hunter2/3@x",
        "http://me:hunter2?3@x",
        "http://me@x:hunter2@y:z",
        "http://x:z/~hunter2/anthropic",
        "me:hunter2@x",
        "http:me:hunter2@x",
        "http:/me:hunter2@x",
        "http:\\\\me:hunter2@x",
        "me:hunter2@http://x:z",
        "x:4000?key=hunter2",
    ],
)
def test_nor_is_that_of_a_base_url_that_is_none(url: str) -> None:
    fault = why_no_server(url)
    assert fault is not None
    assert "hunter2" not in fault
