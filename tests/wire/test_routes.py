from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from tokenproxy.wire import routes
from tokenproxy.wire.dialect import ResponseParser
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
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, ResponseFacts, UsagePart

MESSAGES = Route("anthropic", "anthropic.messages", "chat", "inference")
COUNT = Route("anthropic", "anthropic.messages", "count_tokens", "count")
RESULTS = Route("anthropic", "anthropic.messages", "batch_results", "batch_results")


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
    assert provider_of_path(method, path) == (route.provider if route else None)


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


def test_the_table_is_sound() -> None:
    seen: dict[str, object] = {}
    for name, provider in PROVIDERS.items():
        assert provider.name == name
        assert provider.base_url.startswith("https://")
        assert not provider.base_url.endswith("/")
        assert provider.base_url.removeprefix("https://") in provider.hosts
        assert all(host == host.lower() for host in provider.hosts)
        for endpoint in provider.endpoints:
            assert endpoint.method == endpoint.method.upper()
            path = endpoint.path.replace("{}", "x")
            route = match(name, endpoint.method, path)
            assert route == Route(name, endpoint.dialect.name, endpoint.operation, endpoint.kind)
            assert seen.setdefault(endpoint.dialect.name, endpoint.dialect) is endpoint.dialect


class Toy:
    """A provider's dialect at its smallest: the whole answer is a number of tokens."""

    name = "toy.count"

    def read_request(self, body: bytes) -> RequestFacts:
        return RequestFacts(model=body.decode(errors="replace"))

    def read_attribution(self, headers: Mapping[str, str]) -> Attribution:
        return Attribution(client=headers.get("user-agent"))

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        return ResponseFacts(request_id=headers.get("x-toy"))

    def open_response(
        self, *, status: int, content_type: str, operation: str, first_party: bool = True
    ) -> ResponseParser:
        del status, content_type, operation, first_party
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
        endpoints=(Endpoint("POST", "/count/{}", Toy()),),
    )
    monkeypatch.setitem(routes.PROVIDERS, "toy", entry)
    assert provider_of_host("toy.example") == "toy"
    assert provider_of_path("POST", "/count/1") == "toy"
    route = match("toy", "POST", "/count/1?q")
    assert route == Route("toy", "toy.count", "chat", "inference")
    assert match("anthropic", "POST", "/count/1") is None
    parser = dialect("toy.count").open_response(status=200, content_type="", operation="chat")
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
