from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from tokenproxy.wire import routes
from tokenproxy.wire.dialect import Head, ResponseParser, SocketDialect
from tokenproxy.wire.routes import (
    PROVIDERS,
    Endpoint,
    Provider,
    Route,
    dialect,
    is_first_party,
    match,
    provider_of_host,
    provider_of_path,
)
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, UsagePart

MESSAGES = Route(
    provider="anthropic", family="anthropic", dialect="anthropic.messages", operation="chat"
)
COUNT = msgspec.structs.replace(MESSAGES, operation="count_tokens", kind="count")
RESULTS = msgspec.structs.replace(MESSAGES, operation="batch_results", kind="batch_results")


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/messages", MESSAGES),
        ("POST", "/v1/messages?beta=true", MESSAGES),
        ("POST", "/v1/messages?x=/v1/other", MESSAGES),
        ("post", "/v1/messages", MESSAGES),
        ("POST", "/v1/messages/", MESSAGES),
        ("POST", "//v1/messages", MESSAGES),
        ("POST", "/v1//messages/?beta=true", MESSAGES),
        ("POST", "/v1/messages/count_tokens", COUNT),
        ("POST", "/v1/messages/count_tokens?beta=true", COUNT),
        ("GET", "/v1/messages/batches/msgbatch_01/results", RESULTS),
        ("GET", "/v1/messages/batches/msgbatch_01/results?beta=true", RESULTS),
        ("GET", "/v1/messages", None),
        ("HEAD", "/v1/messages", None),
        ("OPTIONS", "/v1/messages", None),
        ("HEAD", "/", None),
        ("POST", "", None),
        ("POST", "/", None),
        ("POST", "/?/v1/messages", None),
        ("POST", "/v1/Messages", None),
        ("POST", "/v1/messagesx", None),
        ("POST", "/v2/messages", None),
        ("POST", "/other/v1/messages", None),
        ("POST", "/v1/messages/other", None),
        ("POST", "/v1/messages/count_tokens/x", None),
        ("POST", "/v1/messages/batches", None),
        ("GET", "/v1/messages/batches", None),
        ("GET", "/v1/messages/batches/msgbatch_01", None),
        ("GET", "/v1/messages/batches/results", None),
        ("GET", "/v1/messages/batches//results", None),
        ("POST", "/v1/messages/batches/msgbatch_01/results", None),
        ("POST", "/v1/messages/batches/msgbatch_01/cancel", None),
        ("POST", "/v1/complete", None),
        ("POST", "/api/event_logging/v2/batch", None),
        ("GET", "/api/claude_cli/bootstrap", None),
        ("GET", "/v1/models", None),
    ],
)
def test_match(method: str, path: str, route: Route | None) -> None:
    assert match("anthropic", method, path) == route


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.deepseek.com/anthropic", "deepseek"),
        ("https://api.moonshot.ai/anthropic", "moonshot_ai"),
        ("https://api.minimax.io/anthropic", "minimax"),
        ("https://api.z.ai/api/anthropic", "z_ai"),
        ("https://api.fireworks.ai/inference", "fireworks_ai"),
        ("https://openrouter.ai/api", "openrouter"),
        ("https://api.x.ai", "x_ai"),
    ],
)
def test_where_others_serve_claude_code(base_url: str, name: str) -> None:
    """What their own pages tell users to put into ``ANTHROPIC_BASE_URL``."""
    host, _, path = base_url.removeprefix("https://").partition("/")
    provider = provider_of_host(host)
    assert provider is not None
    route = match(provider, "POST", f"/{path}/v1/messages?beta=true")
    assert route is not None
    assert (route.provider, route.dialect) == (name, "anthropic.messages")


@pytest.mark.parametrize(
    ("provider", "path", "model"),
    [
        ("openai", "/v1/realtime?model=gpt-realtime-2", "gpt-realtime-2"),
        ("openai", "/v1/realtime?x=1&model=a%2Fb%20c&model=", "a/b c"),
        ("openai", "/v1/realtime?intent=transcription", None),
        ("openai", "/v1/realtime?model=%0A", None),
        ("openai", "/v1/realtime?model=" + "m" * 300, None),
        ("openai", "/v1/realtime", None),
        ("azure", "/openai/realtime?api-version=1&deployment=prod", "prod"),
        ("azure", "/openai/v1/realtime?model=prod", "prod"),
        ("openai", "/v1/responses?model=gpt-6-sol", "gpt-6-sol"),
    ],
)
def test_the_upgrade_to_a_websocket_names_its_model_in_the_query(
    provider: str, path: str, model: str | None
) -> None:
    route = match(provider, "GET", path)
    assert route is not None
    assert (route.socket, route.model) == (True, model)
    behind = routes.match_gateway("gateway.example", "GET", "/some/prefix" + path)
    assert behind is not None
    assert behind.model == model


def test_the_query_of_any_other_request_names_no_model() -> None:
    route = match("openai", "POST", "/v1/chat/completions?model=gpt-6-sol")
    assert route is not None
    assert route.model is None


def test_no_provider_matches_nothing() -> None:
    assert match("nobody", "POST", "/v1/messages") is None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.anthropic.com", "anthropic"),
        ("API.Anthropic.COM", "anthropic"),
        ("api.anthropic.com:443", "anthropic"),
        ("api.anthropic.com.", "anthropic"),
        ("anthropic.com", None),
        ("api.anthropic.com.evil.example", None),
        ("xapi.anthropic.com", None),
        ("", None),
        ("::1", None),
    ],
)
def test_provider_of_host(host: str, provider: str | None) -> None:
    assert provider_of_host(host) == provider


def test_dialects_are_found_by_name() -> None:
    assert dialect("anthropic.messages").name == "anthropic.messages"
    with pytest.raises(LookupError, match=r"no dialect is called 'klingon'"):
        dialect("klingon")


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_table_is_sound(name: str) -> None:
    provider = PROVIDERS[name]
    assert "/" not in name
    assert not provider.base_url.endswith("/")
    assert all(host == host.lower() for host in provider.hosts)
    for endpoint in provider.endpoints:
        assert endpoint.method == endpoint.method.upper()
        path = endpoint.path.replace("{model}", "m").replace("{}", "x")
        route = match(name, endpoint.method, path)
        assert route is not None
        assert isinstance(endpoint.dialect, str)
        assert route.dialect == endpoint.dialect
        assert dialect(endpoint.dialect).name == endpoint.dialect
        assert isinstance(dialect(endpoint.dialect), SocketDialect) or not endpoint.socket


class Toy:
    """A provider's dialect at its smallest: the whole answer is a number of tokens."""

    name = "toy.count"

    def read_request(self, body: bytes) -> RequestFacts:
        return RequestFacts(model=body.decode(errors="replace"))

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        return ResponseFacts(request_id=headers.get("x-toy"))

    def open_response(self, head: Head) -> ResponseParser:
        del head
        return ToyParser()


class ToyParser:
    def __init__(self) -> None:
        self.reading = Reading()
        self._body = b""

    def feed(self, data: bytes) -> bool:
        self._body += data
        return False

    def close(self) -> None:
        self.reading.parts = (UsagePart(output_tokens=int(self._body)),)
        self.reading.ended = True

    def take_items(self) -> list[Reading]:
        return []


def test_a_new_provider_is_one_dialect_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Provider(
        name="toy",
        hosts=("toy.example",),
        base_url="https://toy.example",
        base_url_env="TOY_BASE_URL",
        endpoints=(Endpoint("POST", "/count/{model}", Toy()),),
    )
    monkeypatch.setitem(routes.PROVIDERS, "toy", entry)
    assert provider_of_host("toy.example") == "toy"
    assert provider_of_path("POST", "/count/1") == "toy"
    route = match("toy", "POST", "/count/1?q")
    assert route == Route(
        provider="toy", family="toy", dialect="toy.count", operation="chat", model="1"
    )
    assert match("anthropic", "POST", "/count/1") is None
    parser = dialect("toy.count").open_response(Head(status=200))
    parser.feed(b"4")
    parser.feed(b"2")
    parser.close()
    assert parser.reading.parts[0].output_tokens == 42


def test_routes_are_plain_values() -> None:
    assert msgspec.json.decode(msgspec.json.encode(MESSAGES), type=Route) == MESSAGES


@pytest.mark.parametrize(
    ("provider", "host", "own"),
    [
        ("anthropic", "api.anthropic.com", True),
        ("anthropic", "API.Anthropic.com.:443", True),
        ("anthropic", "gateway.example", False),
        ("nobody", "api.anthropic.com", False),
    ],
)
def test_whose_host_it_is(provider: str, host: str, own: bool) -> None:
    assert is_first_party(provider, host) is own
