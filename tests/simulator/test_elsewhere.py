from __future__ import annotations

import json
from http.client import HTTPConnection

import pytest

from tests.simulator.wire import connect
from tokenproxy.simulator import elsewhere
from tokenproxy.simulator.server import Simulator


def get(connection: HTTPConnection, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 404),
        ("GET", "/api/claude_cli/bootstrap?entrypoint=x", 200),
        ("POST", "/api/event_logging/v2/batch", 200),
        ("GET", "/api/claude_code/settings", 404),
        ("GET", "/v1/messages", 404),
        ("POST", "/v1/messages/count_tokens?beta=true", 200),
        ("POST", "/v1/messages/batches", 200),
        ("GET", f"/v1/messages/batches/{elsewhere.BATCH_ID}", 200),
    ],
)
def test_paths_beside_the_model(method: str, path: str, status: int) -> None:
    with Simulator() as sim:
        connection = connect(sim)
        assert get(connection, method, path, b"{}")[0] == status
        connection.close()
        assert sim.calls == []
        assert sim.billed() == {}


def test_count_tokens_follows_the_body() -> None:
    with Simulator() as sim:
        connection = connect(sim)
        _, body = get(connection, "POST", "/v1/messages/count_tokens", b"x" * 400)
        assert json.loads(body) == {"input_tokens": 100}
        connection.close()


def test_batch_results_are_the_same_at_each_download() -> None:
    with Simulator() as sim:
        connection = connect(sim)
        path = f"/v1/messages/batches/{elsewhere.BATCH_ID}/results"
        first, second = (get(connection, "GET", path)[1] for _ in range(2))
        connection.close()
        assert first == second
        lines = [json.loads(line)["result"] for line in first.splitlines()]
        assert [line["type"] for line in lines] == ["succeeded", "errored", "succeeded", "expired"]
        messages = [line["message"] for line in lines if "message" in line]
        assert {message["usage"]["service_tier"] for message in messages} == {"batch"}
        outputs = [message["usage"]["output_tokens"] for message in messages]
        assert outputs == [part.output for part in sim.exchanges[0].billed]
        assert sim.exchanges[1].billed == ()
        assert sim.billed() == sim.known()
