"""The Codex CLI behind tokenproxy: over its WebSocket, over HTTP, by API key and by ChatGPT login.

Codex reports a turn's usage at the end of it (``turn.completed``): the sum of the turn's
calls. The call by which it warms its WebSocket up (``generate: false``) it does not report.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence

import pytest

from tests.e2e.bench import Bench, Row, total
from tests.real import needs, reported
from tokenproxy.simulator.openai_aside import ACCOUNT, ACCOUNTS
from tokenproxy.simulator.server import Simulator

HOSTS = {"api.openai.com": "openai", "chatgpt.com": "openai"}
KEY = {"CODEX_API_KEY": "sk-test-000"}
EXEC = ("exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access")
TOOL = ("-m", "gpt-5.4", "USE_BASH please")
"""A model that is offered the shell as a tool of its own."""
OVER = pytest.mark.parametrize("scenario", ["agent", "websocket-refused"], ids=["socket", "http"])


def run(
    bench: Bench, sim: Simulator, *words: str, mode: str = "forward", **env: str
) -> tuple[list[Row], list[Row]]:
    """Codex's own events, and the rows of its turns: warming up is held apart."""
    command = [str(needs.cli("codex")), *words]
    events = reported.lines(reported.run(bench, sim, mode, HOSTS, command, **env).stdout)
    rows = bench.rows()
    (session,) = [one["thread_id"] for one in events if one["type"] == "thread.started"]
    reported.same(rows, session_id=session, client="codex_exec/0.171.0", operation="responses")
    return events, [row for row in rows if row["request_class"] == "turn"]


def equals_turn(rows: Sequence[Row], events: Sequence[Row]) -> None:
    """The rows' sums are what Codex says of its turn, to the token."""
    (usage,) = [one["usage"] for one in events if one["type"] == "turn.completed"]
    assert usage == {
        "input_tokens": total(rows, "input_tokens"),
        "cached_input_tokens": total(rows, "cache_read_input_tokens"),
        "cache_write_input_tokens": total(rows, "cache_creation_input_tokens"),
        "output_tokens": total(rows, "output_tokens"),
        "reasoning_output_tokens": total(rows, "reasoning_output_tokens"),
    }
    reported.same(rows, success=True, outcome="complete", completeness="final", stream=True)


@OVER
def test_a_turn_with_a_tool(bench: Bench, scenario: str) -> None:
    with Simulator(scenario) as sim:
        events, rows = run(bench, sim, *EXEC, *TOOL, **KEY)
        socket = {call.request.method for call in sim.calls}
    assert socket == ({"WS"} if scenario == "agent" else {"POST"})
    assert [row["output_tokens"] for row in rows] == [77, 42]
    assert len({row["turn_id"] for row in rows}) == 1
    reported.same(rows, provider="openai", model="gpt-5.4")
    equals_turn(rows, events)
    ran = [one["item"] for one in events if one.get("item", {}).get("exit_code") == 0]
    assert ran[0]["aggregated_output"] == "hi\n"


def test_the_websockets_first_call_warms_it_up(bench: Bench) -> None:
    """The API bills its input; Codex does not report it."""
    with Simulator("agent") as sim:
        _, turns = run(bench, sim, *EXEC, "hello", **KEY)
        billed = sum(tokens.all_input for tokens in sim.billed().values())
    first, *rest = bench.rows()
    assert (first["request_class"], first["output_tokens"]) == ("prewarm", 0)
    assert rest == turns
    assert total(bench.rows(), "input_tokens") == billed


def test_a_refused_websocket_is_a_failed_call_and_not_of_the_turn(bench: Bench) -> None:
    with Simulator("websocket-refused") as sim:
        _, turns = run(bench, sim, *EXEC, "hello", **KEY)
    (refused,) = [row for row in bench.rows() if row not in turns]
    assert (refused["status_code"], refused["success"]) == (426, False)
    assert "input_tokens" not in refused


@OVER
def test_reverse_by_the_setting_that_codex_heeds(bench: Bench, scenario: str) -> None:
    """It does not read OPENAI_BASE_URL; its own setting can."""
    line = 'exec "$0" "$@" -c openai_base_url="$OPENAI_BASE_URL"'
    with Simulator(scenario) as sim:
        command = ["sh", "-c", line, str(needs.cli("codex")), *EXEC, *TOOL]
        done = reported.run(bench, sim, "reverse", HOSTS, command, **KEY)
    rows = [row for row in bench.rows() if row["request_class"] == "turn"]
    assert len(rows) == 2
    equals_turn(rows, reported.lines(done.stdout))


@OVER
def test_a_chatgpt_login(bench: Bench, scenario: str) -> None:
    """Its calls go to chatgpt.com; over HTTP their bodies are compressed."""
    home = bench.root / ".codex"
    home.mkdir()
    (home / "auth.json").write_text(json.dumps(login()))
    with Simulator(scenario) as sim:
        events, rows = run(bench, sim, *EXEC, *TOOL)
        calls = [call.request for call in sim.calls]
    assert {call.route for call in calls} == {"/openai/backend-api/codex/responses"}
    if scenario == "websocket-refused":
        assert {call.header("content-encoding") for call in calls} == {"zstd"}
    reported.same(rows, provider="openai", model="gpt-5.4", requested_model="gpt-5.4")
    equals_turn(rows, events)


def test_an_account_with_a_host_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        ACCOUNTS["accounts"][0], "workspace_backend_origin", "https://eu.chatgpt.com"
    )
    (bench.root / ".codex").mkdir()
    (bench.root / ".codex" / "auth.json").write_text(json.dumps(login()))
    command = [str(needs.cli("codex")), *EXEC, *TOOL]
    with Simulator("agent") as sim:
        hosts = HOSTS | {"eu.chatgpt.com": "openai"}
        events = reported.lines(reported.run(bench, sim, "forward", hosts, command).stdout)
    reported.same(bench.rows(), provider="openai")
    equals_turn([row for row in bench.rows() if row["request_class"] == "turn"], events)


def login() -> dict[str, object]:
    """What ``codex login`` leaves behind, signed by nobody."""
    now = int(time.time())
    claims = {
        "exp": now + 864_000,
        "email": "somebody@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT,
            "chatgpt_plan_type": "pro",
            "chatgpt_user_id": "user-test",
        },
    }
    token = ".".join(encoded(part) for part in ({"alg": "RS256", "typ": "JWT"}, claims, "none"))
    tokens = {"id_token": token, "access_token": token, "refresh_token": "test"}
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": tokens | {"account_id": ACCOUNT},
        "last_refresh": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
    }


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
