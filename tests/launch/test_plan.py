from __future__ import annotations

from collections.abc import Mapping

import pytest

from tokenproxy.config import Mode
from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.plan import Plan, make_plan
from tokenproxy.wire.endpoints import Provider

PROVIDERS = {
    "one": Provider(
        name="one", hosts=("api.one.example",), base_url="https://api.one.example",
        base_url_env="ONE_BASE_URL", endpoints=(),
    ),
    "two": Provider(
        name="two", hosts=("api.two.example", "eu-*.two.example"),
        base_url="https://api.two.example", base_url_env="TWO_BASE_URL", endpoints=(),
    ),
    "signed": Provider(
        name="signed", base_url="https://{region}.signed.example",
        base_url_env="SIGNED_BASE_URL", regions=("REGION", "eu"), reverse_needs=("TOKEN",),
    ),
    "here": Provider(
        name="here", hosts=("localhost:11434",), base_url="http://127.0.0.1:11434",
        base_url_env="HERE_HOST",
    ),
    "placeless": Provider(name="placeless", base_url_env="PLACELESS_URL"),
}  # fmt: skip
ALL = ("api.one.example", "api.two.example", "eu-*.two.example")


def plan(mode: Mode, routes: Mapping[str, str] | None = None, **env: str) -> Plan:
    return make_plan(mode, env, routes or {}, PROVIDERS)


def test_a_gateway_whose_requests_are_signed_is_opened_and_its_clients_told_nothing() -> None:
    made = plan("auto", SIGNED_BASE_URL="https://gateway.example/x", ONE_BASE_URL="https://one.gw")
    assert made.variables == ("one",)
    assert made.gateway_hosts == {"gateway.example": "signed"}
    assert "gateway.example" in made.hosts


def test_a_gateway_over_http_can_only_be_told() -> None:
    made = plan("auto", SIGNED_BASE_URL="http://gateway.example/x")
    assert (made.variables, made.gateway_hosts) == (("signed",), {})


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
        "https://api.two.example",
        "https://eu-9.two.example",
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
        "https://api.two.example:8443",
    ],
)
def test_a_gateway_is_chained_and_all_else_goes_forward(url: str) -> None:
    made = plan("auto", ONE_BASE_URL=url)
    assert (made.mode, made.hosts) == ("both", ALL)
    assert (made.variables, made.upstreams) == (("one",), {"one": url})


def test_reverse_may_be_asked_for() -> None:
    made = plan("reverse", ONE_BASE_URL="https://api.one.example/v9")
    assert (made.mode, made.hosts) == ("reverse", ())
    assert made.variables == ("here", "one", "two")
    assert made.upstreams == {
        "one": "https://api.one.example/v9",
        "two": "https://api.two.example",
        "signed": "https://eu.signed.example",
        "here": "http://127.0.0.1:11434",
    }


def test_a_region_is_the_users() -> None:
    assert plan("reverse", REGION="us").upstreams["signed"] == "https://us.signed.example"


@pytest.mark.parametrize("region", ["bad region!", "x/../y", "us:1", "[x", "-us", " ", "\n"])
def test_what_can_be_no_region_is_none(region: str) -> None:
    assert plan("reverse", REGION=region).upstreams["signed"] == "https://eu.signed.example"


def test_signed_requests_need_the_real_host() -> None:
    assert "signed" not in plan("reverse").variables
    assert plan("reverse").notes == ()
    assert "signed" in plan("reverse", TOKEN="t").variables
    made = plan("reverse", SIGNED_BASE_URL="https://gateway.example")
    assert "signed" not in made.variables
    [note] = made.notes
    assert note == (
        "calls to SIGNED_BASE_URL are signed for their host and cannot be seen in reverse mode;"
        " use --mode forward, or one of TOKEN"
    )


@pytest.mark.parametrize(
    ("value", "upstream"),
    [
        ("127.0.0.1", None),
        ("0.0.0.0", None),
        ("0.0.0.0:8080", None),
        ("http://[::]:8080", None),
        ("localhost:11434", None),
        ("http://[::1]:11434", None),
        ("[::1]", None),
        ("::1", None),
        (":11434", None),
        ('"127.0.0.1"', None),
        ("127.0.0.1:11434/", None),
        (":8080", "http://127.0.0.1:8080"),
        ("2001:db8::1", "http://[2001:db8::1]:11434"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("gpu-box:80/api", "http://gpu-box:80/api"),
        ("gpu-box/api", "http://gpu-box:11434/api"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:80", "http://gpu-box:80"),
        ("https://gpu-box", "https://gpu-box"),
    ],
)
def test_a_base_url_may_be_a_host(value: str, upstream: str | None) -> None:
    made = plan("auto", HERE_HOST=value)
    assert made.upstreams == ({"here": upstream} if upstream else {})


def test_forward_to_a_gateway_opens_its_host() -> None:
    made = plan("forward", ONE_BASE_URL="https://Gateway.example/v9")
    assert made.hosts == tuple(sorted((*ALL, "gateway.example")))
    assert made.gateway_hosts == {"gateway.example": "one"}
    assert made.upstreams == {"one": "https://Gateway.example/v9"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://B\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/", "xn--bcher-kva.example"),
        ("https://gateway.example.:8443/", "gateway.example"),
        ("https://[fe80::1]/", "fe80::1"),
    ],
)
def test_the_host_that_is_opened_is_named_as_certificates_name_it(url: str, host: str) -> None:
    assert host in plan("forward", ONE_BASE_URL=url).hosts


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://a b/", "'a b' is not a host's name"),
        ("http://a b", "'a b' is not a host's name"),
        ("https://*/", "'*' is not a host's name"),
        ("https://a..b/", "'a..b' is not a host's name"),
        ("https://\N{EURO SIGN}..b/", "'\N{EURO SIGN}..b' is not a host's name"),
        ("http://gateway.example/a b", "'http://gateway.example/… b' is not a URL"),
        ("https://[gateway", "'https://[gateway' is not a URL"),
        ("http://x:0", "'http://x:0' is not a URL"),
        ("http://x:99999", "'http://x:99999' is not a URL"),
        ("foo", "'foo' is not an http:// or https:// URL with a host"),
        ("gateway:8080", "'gateway:8080' is not an http:// or https:// URL with a host"),
        ("ftp://x", "'ftp://x' is not an http:// or https:// URL with a host"),
        ("http://user:pass@", "'http://' is not an http:// or https:// URL with a host"),
    ],
)
def test_what_no_client_can_use_is_refused_where_it_is_needed_alone(url: str, fault: str) -> None:
    """In reverse mode we would go there; else its client complains, if one reads it at all."""
    for mode in ("auto", "forward"):
        made = plan(mode, ONE_BASE_URL=url)
        assert (made.mode, made.hosts, made.upstreams) == ("forward", ALL, {})
        assert made.notes == (f"ONE_BASE_URL is left as it is: {fault}",)
    with pytest.raises(UsageError) as raised:
        plan("reverse", ONE_BASE_URL=url)
    assert str(raised.value) == f"ONE_BASE_URL: {fault}"


def test_forward_to_an_http_gateway_cannot_be() -> None:
    with pytest.raises(UsageError, match="use --mode reverse or --mode auto") as raised:
        plan("forward", ONE_BASE_URL="http://user:secret@gateway.example")
    assert "ONE_BASE_URL=http://gateway.example" in str(raised.value)


def test_a_query_is_no_fault_where_the_variable_is_not_needed() -> None:
    url = "https://api.two.example/chat/completions?api-version=1"
    assert plan("auto", TWO_BASE_URL=url).mode == "forward"
    with pytest.raises(UsageError, match="must end with its path"):
        plan("reverse", TWO_BASE_URL=url)
    with pytest.raises(UsageError, match="must end with its path"):
        plan("auto", ONE_BASE_URL="https://gateway.example/v1?api-version=1")
    # Where its host is opened, the client itself says the rest.
    made = plan("forward", ONE_BASE_URL="https://gateway.example/v1?api-version=1")
    assert "gateway.example" in made.hosts


def test_a_routed_host_is_opened() -> None:
    routes = {"lab.example": "http://127.0.0.1:1"}
    assert plan("auto", routes).hosts == tuple(sorted((*ALL, "lab.example")))
    assert plan("reverse", routes).hosts == ()
    assert plan("reverse", routes).routes == routes


def test_a_route_that_no_call_can_take_is_said() -> None:
    routes = {"api.one.example": "http://127.0.0.1:1", "gateway.example": "http://127.0.0.1:2"}
    for mode in ("auto", "forward"):
        assert plan(mode, routes).notes == ()
    (note,) = plan("reverse", routes).notes
    assert note.startswith("the route for gateway.example has no effect in reverse mode")
    assert plan("reverse", routes, TWO_BASE_URL="https://gateway.example/v1").notes == ()
    signed = {"eu.signed.example": "http://127.0.0.1:1"}
    assert len(plan("reverse", signed).notes) == 1
    assert plan("reverse", signed, TOKEN="t").notes == ()


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
    with pytest.raises(UsageError, match=r"^HTTPS_PROXY is not the URL of a proxy; set"):
        plan("auto", HTTPS_PROXY="http://user:secret@:x")


def test_a_proxy_for_all_that_we_cannot_go_through_is_said() -> None:
    made = plan("auto", ALL_PROXY="socks5h://p:1")
    assert made.upstream_proxy is None
    assert made.notes == ("ALL_PROXY names a socks5h proxy: calls do not go through it",)


def test_the_users_exceptions_are_kept_whole() -> None:
    assert plan("auto", NO_PROXY="*, api.one.example").no_proxy == ("*", "api.one.example")


def test_a_gateway_may_be_told_by_an_address_to_listen_on() -> None:
    assert plan("auto", ONE_BASE_URL="http://0.0.0.0:4000").variables == ("one",)
