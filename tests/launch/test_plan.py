from __future__ import annotations

from collections.abc import Mapping

import pytest

from tokenproxy.config import Mode
from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.plan import Plan, make_plan
from tokenproxy.wire.routes import Provider

PROVIDERS = {
    "one": Provider(
        name="one", hosts=("api.one.example",), base_url="https://api.one.example",
        base_url_env="ONE_BASE_URL", endpoints=(),
    ),
    "two": Provider(
        name="two", hosts=("api.two.example", "eu.two.example"), base_url="https://api.two.example",
        base_url_env="TWO_BASE_URL", endpoints=(),
    ),
}  # fmt: skip
ALL = ("api.one.example", "api.two.example", "eu.two.example")


def plan(mode: Mode, routes: Mapping[str, str] | None = None, **env: str) -> Plan:
    return make_plan(mode, env, routes or {}, PROVIDERS)


def test_forward_is_the_default() -> None:
    made = plan("auto")
    assert (made.mode, made.hosts) == ("forward", ALL)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "https://api.one.example",
        "https://api.one.example/",
        "https://api.one.example:443/x",
    ],
)
def test_a_base_url_of_the_providers_own_is_no_gateway(url: str) -> None:
    assert plan("auto", ONE_BASE_URL=url).mode == "forward"


@pytest.mark.parametrize(
    "url",
    [
        "https://gateway.example/v9",
        "http://127.0.0.1:4040",
        "http://api.one.example",
        "https://api.one.example:8443",
        "https://api.two.example",
    ],
)
def test_a_gateway_is_chained_in_reverse(url: str) -> None:
    made = plan("auto", ONE_BASE_URL=url)
    assert (made.mode, made.hosts, made.upstreams) == ("reverse", (), {"one": url})


def test_reverse_may_be_asked_for() -> None:
    made = plan("reverse")
    assert (made.mode, made.hosts, made.upstreams) == ("reverse", (), {})


def test_forward_to_a_gateway_opens_its_host() -> None:
    made = plan("forward", ONE_BASE_URL="https://Gateway.example/v9")
    assert made.hosts == tuple(sorted((*ALL, "gateway.example")))
    assert made.gateway_hosts == {"gateway.example": "one"}
    assert made.upstreams == {"one": "https://Gateway.example/v9"}


def test_forward_to_an_http_gateway_cannot_be() -> None:
    with pytest.raises(UsageError, match="use --mode reverse or --mode auto") as raised:
        plan("forward", ONE_BASE_URL="http://user:secret@gateway.example")
    assert "ONE_BASE_URL=http://gateway.example" in str(raised.value)


def test_a_base_url_that_is_none() -> None:
    with pytest.raises(UsageError, match="ONE_BASE_URL: 'gateway:8080' is not an http"):
        plan("auto", ONE_BASE_URL="gateway:8080")


def test_a_routed_host_is_opened() -> None:
    routes = {"lab.example": "http://127.0.0.1:1"}
    assert plan("auto", routes).hosts == tuple(sorted((*ALL, "lab.example")))
    assert plan("reverse", routes).hosts == ()
    assert plan("reverse", routes).routes == routes


@pytest.mark.parametrize(
    ("env", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, "http://q:2"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "https://r:3"}, "https://r:3"),
        ({"all_proxy": "r:3"}, "http://r:3"),
        (
            {"HTTPS_PROXY": "http://user:p%40ss@p:1", "ALL_PROXY": "socks5://s"},
            "http://user:p%40ss@p:1",
        ),
    ],
)
def test_the_users_own_proxy(env: dict[str, str], proxy: str | None) -> None:
    made = make_plan("auto", env, {}, PROVIDERS)
    assert made.upstream_proxy == proxy
    assert made.notes == ()


def test_a_proxy_that_we_cannot_go_through() -> None:
    with pytest.raises(UsageError, match="HTTPS_PROXY names a socks5 proxy"):
        plan("auto", HTTPS_PROXY="socks5://p:1")
    with pytest.raises(UsageError, match=r"^HTTPS_PROXY is not the URL of a proxy$"):
        plan("auto", HTTPS_PROXY="http://user:secret@:x")


def test_a_proxy_for_all_that_we_cannot_go_through_is_said() -> None:
    made = plan("auto", ALL_PROXY="socks5h://p:1")
    assert made.upstream_proxy is None
    assert made.notes == ("ALL_PROXY names a socks5h proxy: calls do not go through it",)


def test_the_users_exceptions_are_kept_whole() -> None:
    assert plan("auto", NO_PROXY="*, api.one.example").no_proxy == ("*", "api.one.example")
