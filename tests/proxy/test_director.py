"""Where requests go."""

import msgspec
import pytest

from tokenproxy.proxy.director import KNOWN_PATH, KNOWN_WAYS, Base, Director
from tokenproxy.wire.endpoints import Route

MESSAGES = Route(
    provider="anthropic", family="anthropic", dialect="anthropic.messages", operation="chat"
)


def director(**over: object) -> Director:
    given: dict[str, object] = {"routes": {}, "upstreams": {}, "gateway_hosts": {}}
    return Director(**(given | over))  # type: ignore[arg-type] # a table of keyword arguments


def test_forward_without_routes_changes_nothing() -> None:
    target = director().forward("https", "api.anthropic.com", 443, "POST", "/v1/messages?beta=true")
    assert (target.scheme, target.host, target.port) == ("https", "api.anthropic.com", 443)
    assert target.path == "/v1/messages?beta=true"
    assert target.provider == "anthropic"
    assert target.route == MESSAGES


def test_forward_with_a_route_keeps_the_real_server_address() -> None:
    way = director(routes={"api.anthropic.com": "http://127.0.0.1:9/gw/"})
    target = way.forward("https", "api.anthropic.com", 443, "POST", "/v1/messages")
    assert (target.scheme, target.host, target.port) == ("http", "127.0.0.1", 9)
    assert target.path == "/gw/v1/messages"
    assert target.route == MESSAGES
    assert (target.server_address, target.server_port) == ("api.anthropic.com", 443)


def test_forward_to_a_gateway_host_strips_its_prefix_for_matching_only() -> None:
    way = director(
        gateway_hosts={"gw.example": "anthropic"},
        upstreams={"anthropic": "https://gw.example/llm"},
    )
    target = way.forward("https", "gw.example", 443, "POST", "/llm/v1/messages")
    assert target.path == "/llm/v1/messages"
    assert target.route == msgspec.structs.replace(MESSAGES, provider="gw.example")


def test_forward_to_an_unknown_host_is_read_by_its_path() -> None:
    target = director().forward("https", "example.com", 443, "POST", "/any/v1/messages")
    assert target.route == msgspec.structs.replace(MESSAGES, provider="example.com")
    assert target.provider is None
    assert director().forward("https", "example.com", 443, "GET", "/v1/messages").route is None


def test_a_known_host_with_an_unknown_path_is_told_by_its_provider() -> None:
    target = director().forward("https", "api.openai.com", 443, "GET", "/v1/models")
    assert (target.provider, target.route) == ("openai", None)


@pytest.mark.parametrize(
    ("path", "upstream_path"),
    [
        ("/anthropic/v1/messages?beta=true", "/v1/messages?beta=true"),
        ("/anthropic", "/"),
        ("/anthropic/", "/"),
        ("/anthropic?x=1", "/?x=1"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/messages/count_tokens", "/v1/messages/count_tokens"),
    ],
)
def test_reverse_by_prefix_or_path(path: str, upstream_path: str) -> None:
    target = director().reverse("POST", path)
    assert target is not None
    assert target.provider == "anthropic"
    assert target.path == upstream_path
    assert (target.scheme, target.host, target.port) == ("https", "api.anthropic.com", 443)


@pytest.mark.parametrize(
    ("path", "host", "upstream_path"),
    [
        ("//openai/v1/chat/completions", "api.openai.com", "/v1/chat/completions"),
        ("/openai//v1/chat/completions", "api.openai.com", "/v1/chat/completions"),
        ("/openai/v1//chat/completions", "api.openai.com", "/v1//chat/completions"),
        ("//anthropic/v1/messages", "api.anthropic.com", "/v1/messages"),
        ("/openai/v1", "api.openai.com", "/v1"),
        ("/openai/v1?x=1", "api.openai.com", "/v1?x=1"),
        ("/openai/v1/", "api.openai.com", "/v1/"),
        ("/openai/v1beta", "api.openai.com", "/v1/v1beta"),
    ],
)
def test_slashes_where_a_base_url_and_a_path_meet(path: str, host: str, upstream_path: str) -> None:
    target = director().reverse("POST", path)
    assert target is not None
    assert (target.host, target.path) == (host, upstream_path)


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings", "/responses/"])
def test_a_path_that_several_know_brings_no_key_to_any(path: str) -> None:
    assert director().reverse("POST", path) is None


def test_reverse_chains_to_the_gateway_that_the_variable_held_before() -> None:
    way = director(upstreams={"anthropic": "http://gw.example:8080/llm"})
    target = way.reverse("POST", "/anthropic/v1/messages")
    assert target is not None
    assert (target.scheme, target.host, target.port) == ("http", "gw.example", 8080)
    assert target.path == "/llm/v1/messages"
    assert target.route == msgspec.structs.replace(MESSAGES, provider="gw.example")
    assert (target.server_address, target.server_port) == ("gw.example", 8080)


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/openai/chat/completions"])
@pytest.mark.parametrize(
    ("base", "sent", "provider"),
    [
        (None, "/v1/chat/completions", "openai"),
        ("https://api.openai.com/v1", "/v1/chat/completions", "openai"),
        ("https://api.deepseek.com", "/chat/completions", "deepseek"),
        ("https://openrouter.ai/api/v1", "/api/v1/chat/completions", "openrouter"),
        ("https://llm.corp.example/openai", "/openai/chat/completions", "llm.corp.example"),
        ("http://127.0.0.1:8080/v1", "/v1/chat/completions", "openai"),
        ("http://[::1]:8080/v1", "/v1/chat/completions", "openai"),
        ("http://localhost:11434/v1", "/v1/chat/completions", "ollama"),
    ],
)
def test_whose_host_it_is_decides(path: str, base: str | None, sent: str, provider: str) -> None:
    target = director(upstreams={"openai": base} if base else {}).reverse("POST", path)
    assert target is not None
    assert target.path == sent
    assert target.route is not None
    assert target.route.provider == provider


def test_reverse_without_a_place_of_its_own_is_no_way() -> None:
    assert director().reverse("POST", "/azure/openai/v1/chat/completions") is None
    way = director(upstreams={"azure": "https://res.openai.azure.com"})
    target = way.reverse("POST", "/azure/openai/deployments/gpt/chat/completions?api-version=1")
    assert target is not None
    assert target.path == "/openai/deployments/gpt/chat/completions?api-version=1"
    assert target.route is not None
    assert (target.route.provider, target.route.model) == ("azure.ai.openai", "gpt")


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("bedrock-runtime.amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com", None),
        ("us-east5-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("aiplatform.eu.rep.googleapis.com", "gcp.vertex_ai"),
        ("my-resource.openai.azure.com", "azure.ai.openai"),
        ("chatgpt.com", "openai"),
    ],
)
def test_hosts_that_differ_by_region_or_resource(host: str, provider: str | None) -> None:
    assert director().forward("https", host, 443, "GET", "/").provider == provider


def test_reverse_obeys_routes_too() -> None:
    way = director(routes={"API.anthropic.com": "http://127.0.0.1:9"})
    target = way.reverse("POST", "/anthropic/v1/messages")
    assert target is not None
    assert (target.host, target.port) == ("127.0.0.1", 9)
    assert (target.server_address, target.server_port) == ("api.anthropic.com", 443)


def test_reverse_of_a_path_that_names_no_provider() -> None:
    assert director().reverse("GET", "/favicon.ico") is None


def test_the_users_own_proxy_is_chained_for_https_but_for_no_proxy() -> None:
    entries = ["gw.example", "10.0.0.0/8", "*.corp:443"]
    way = director(upstream_proxy="http://u:p@proxy.corp:3128", no_proxy=entries)
    assert way.via("https", "api.anthropic.com") == ("http", ("proxy.corp", 3128))
    for past in ("gw.example", "sub.gw.example", "10.1.2.3", "x.corp", "127.0.0.1", "localhost"):
        assert way.via("https", past) is None
    # HTTPS_PROXY is for https: a plain gateway was never reached through it.
    assert way.via("http", "api.anthropic.com") is None


def test_a_trailing_dot_is_the_same_host() -> None:
    target = director(routes={"api.anthropic.com": "http://127.0.0.1:9"}).forward(
        "https", "API.anthropic.com.", 443, "POST", "/v1/messages"
    )
    assert (target.provider, target.port) == ("anthropic", 9)
    assert target.server_address == "api.anthropic.com"


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "x:1", "https:///path"])
def test_a_base_must_be_http_with_a_host(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        Base.parse(url)


def test_beyond_a_gateway_of_ours_is_the_provider_that_its_path_names() -> None:
    gateway = "http://127.0.0.1:4040/~token/~run-1"
    way = director(
        upstreams={"openai": f"{gateway}/deepseek/v1", "anthropic": f"{gateway}/anthropic"},
        leads={"openai": "deepseek", "anthropic": "anthropic"},
    )
    target = way.reverse("POST", "/openai/v1/chat/completions")
    assert target is not None
    assert (target.host, target.port) == ("127.0.0.1", 4040)
    assert target.path == "/~token/~run-1/deepseek/v1/chat/completions"
    assert target.route is not None
    assert target.route.provider == "deepseek"
    assert (target.server_address, target.server_port) == ("api.deepseek.com", 443)
    target = way.reverse("POST", "/anthropic/v1/messages?beta=true")
    assert target is not None
    assert target.path == "/~token/~run-1/anthropic/v1/messages?beta=true"
    assert target.route == MESSAGES


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages", "/v1/models"])
def test_what_shows_a_runs_mark_goes_the_same_way_and_is_no_call(path: str) -> None:
    way = director(run_mark="run-1")
    plain = way.reverse("POST", path)
    marked = way.reverse("POST", f"/~run-1{path}")
    if plain is None:
        assert marked is None
        return
    assert marked is not None
    assert marked.relayed == (plain.route is not None)
    assert (marked.route, marked.provider) == (None, None)
    assert (marked.host, marked.path) == (plain.host, plain.path)
    assert way.reverse("POST", f"/~run-2{path}") is None
    inside = way.forward("https", "api.anthropic.com", 443, "POST", path, relayed=True)
    assert (inside.route, inside.provider, inside.path) == (None, None, path)


def test_ways_that_are_known_are_few_and_short() -> None:
    way = director()
    for number in range(2 * KNOWN_WAYS):
        way.reverse("GET", f"/anthropic/v1/files/{number}")
        way.forward("https", "api.anthropic.com", 443, "GET", f"/v1/files/{number}")
        way.reverse("GET", f"/anthropic/v1/files/{number}?{'q' * KNOWN_PATH}")
    assert way._reverse_known.cache_info().currsize == KNOWN_WAYS
    assert way._forward_known.cache_info().currsize == KNOWN_WAYS
    path = "/anthropic/v1/messages?" + "q" * KNOWN_PATH
    assert way.reverse("POST", path) == way.reverse("POST", path)
