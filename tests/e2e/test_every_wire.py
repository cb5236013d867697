"""Every operation of every provider behind one proxy: counted to the token, or said why not.

``every_wire`` has the operations, ``every_wire_agent`` does them. What is right is not
read off the answers: the simulator knows what it billed.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import pytest

from tests.e2e import every_wire
from tests.e2e.bench import Bench, Row
from tests.e2e.every_wire import Operation
from tokenproxy.simulator.messages import Tokens
from tokenproxy.simulator.scenarios import Scenario, by_header, named
from tokenproxy.simulator.server import Simulator
from tokenproxy.wire import routes

Rows = Mapping[str, list[Row]]
"""Rows by the name of the operation that made them."""
Sums = dict[tuple[str, str], Counter[str]]

COLUMNS: dict[str, Callable[[Tokens], int]] = {
    "input_tokens": lambda tokens: tokens.all_input,
    "uncached_input_tokens": lambda tokens: tokens.input,
    "cache_read_input_tokens": lambda tokens: tokens.cache_read,
    "cache_creation_input_tokens": lambda tokens: tokens.cache_write,
    "cache_creation_5m_input_tokens": lambda tokens: tokens.cache_write_5m,
    "cache_creation_1h_input_tokens": lambda tokens: tokens.cache_write_1h,
    "output_tokens": lambda tokens: tokens.output,
    "reasoning_output_tokens": lambda tokens: tokens.thinking or 0,
    "provider_cost_usd": lambda tokens: round(10**10 * (tokens.cost_usd or 0)),
}
"""Columns of the ledger, and what the simulator bills of each."""


def do(bench: Bench, scenario: Scenario | str, operations: Sequence[Operation]) -> Simulator:
    """Have the agent do all of it, behind one ``tokenproxy run``."""
    script = bench.root / "operations.json"
    script.write_bytes(msgspec.json.encode(operations))
    with Simulator(scenario) as sim:
        ways = [word for way in every_wire.routes(sim.url) for word in ("--route", way)]
        agent = [sys.executable, "-m", "tests.e2e.every_wire_agent", str(script)]
        run = bench.tokenproxy("run", "--mode", "forward", *ways, "--", *agent)
        assert run.returncode == 0, run.stderr.decode()
        assert run.stdout.count(b"\n") == len(operations)
    return sim


def by_operation(rows: Iterable[Row]) -> Rows:
    found = defaultdict(list)
    for row in rows:
        found[row["client_request_id"]].append(row)
    return found


def counted(rows: Iterable[Row]) -> Sums:
    sums: Sums = defaultdict(Counter)
    for row in rows:
        for column in COLUMNS:
            value = row.get(column, 0)
            sums[row["provider"], row["model"]][column] += (
                round(value * 10**10) if column == "provider_cost_usd" else value
            )
    return {who: +found for who, found in sums.items() if +found}


def billed(bill: Mapping[tuple[str, str], Tokens]) -> Sums:
    sums = {
        who: +Counter({column: of(tokens) for column, of in COLUMNS.items()})
        for who, tokens in bill.items()
    }
    return {who: found for who, found in sums.items() if found}


def test_nothing_is_left_out() -> None:
    """Whatever the table of providers has, somebody asks for, and each provider is asked."""
    table = {
        (endpoint.dialect, endpoint.operation, endpoint.kind)
        for provider in routes.PROVIDERS.values()
        for endpoint in provider.endpoints
    }
    asked, providers = set(), set()
    for operation in [*every_wire.every(stream=False), *every_wire.every(stream=True)]:
        key = routes.provider_of_host(f"{operation.host}:443")
        assert key is not None, operation.host
        route = routes.match(key, operation.method, operation.path)
        assert route is not None, operation.path
        asked.add((route.dialect, route.operation, route.kind))
        providers.add(route.provider)
    assert table == asked
    assert providers == {provider.name for provider in routes.PROVIDERS.values()}


NO_USAGE = {
    "whisper": "billed_by_duration",
    "speech": "usage_not_offered",
    "background": None,
    "later": None,
}
"""Operations whose answers state no tokens, and the note that says so. Of what goes on in the
background a later look has the usage, and the row."""
NO_PRICE = {
    *NO_USAGE,
    # Nobody has published a price: of a host that leads to others, of a model, of a page.
    "nvidia", "huggingface", "vertex-mistral", "ocr", "rerank",
    # A subscription, beside what runs at home.
    "ollama", "ollama-generate", "ollama-embed",
    # Cache writes for an hour have a price at Anthropic's, none at OpenRouter's.
    "openrouter-messages",
}  # fmt: skip
RAN_A_TOOL = {"mistral-conversation", "conversation-goes-on", "restart"}
"""Whose stream tells of a tool that ran at the provider's, which has no price."""


@pytest.mark.parametrize("scenario", ["plain", "stream"])
def test_every_answer_is_counted_to_the_token(bench: Bench, scenario: str) -> None:
    operations = every_wire.every(stream=scenario == "stream")
    sim = do(bench, scenario, operations)
    rows = by_operation(bench.rows())
    assert {one.name: len(rows.get(one.name, [])) for one in operations} == {
        one.name: one.rows for one in operations
    }
    assert set(rows) <= {one.name for one in operations}

    bill = sim.billed_by_provider()
    del bill["openai", "gpt-4o-mini-tts"]  # speech, which states nothing
    assert counted(bench.rows()) == billed(bill)

    failed = rows["batch"].pop(1)
    assert (failed["outcome"], failed["error"]) == ("error", "invalid_request_error")
    told = {
        name: {(row["outcome"], row["completeness"], tuple(row.get("notes", ()))) for row in made}
        for name, made in rows.items()
    }
    assert told == {
        name: {("complete", "none", tuple(filter(None, [NO_USAGE[name]])))}
        if name in NO_USAGE
        else {("complete", "final", ())}
        for name in rows
    }
    unpriced = {name.partition("/")[0] for name, made in rows.items()
                if not all(row.get("cost_usd", 0) > 0 for row in made)}  # fmt: skip
    assert unpriced == (NO_PRICE | RAN_A_TOOL if scenario == "stream" else NO_PRICE)
    assert bench.journals() == []


REFUSED = ("rate-limited", "server-error", "unavailable")
CUT = ("cut-fin", "cut-reset")
GARBAGE = ("malformed-stream", "malformed-json", "not-utf8")

WORDS = {
    # who speaks so: 429, 500, 503 (529), and in the midst of a stream
    "openai": ("rate_limit_exceeded", "server_error", "server_error", "server_error"),
    "responses": ("rate_limit_exceeded", "server_error", "server_error", "overloaded"),
    "coded": ("rate_limit_exceeded", "server_error", "overloaded", "overloaded"),
    "openrouter": ("rate_limit_error", "server_error", "overloaded_error", "overloaded_error"),
    "openrouter-responses": (
        "rate_limit_error", "server_error", "overloaded_error", "overloaded",
    ),
    "messages": ("rate_limit_error", "api_error", "overloaded_error", "overloaded_error"),
    "google": ("resource_exhausted", "internal", "unavailable", "unavailable"),
    "bedrock": (
        "ThrottlingException", "InternalServerException", "ServiceUnavailableException",
        "serviceUnavailableException",
    ),
    "mistral": ("rate_limited", "internal_error", "internal_error", "internal_error"),
    "conversation": ("rate_limited", "internal_error", "internal_error", "overloaded_error"),
    "cohere": ("rate_limit_error", "server_error", "overloaded_error", "error"),
    "ollama": ("rate_limit_error", "server_error", "overloaded_error", "server_error"),
    "perplexity": ("rate_limit_error", "server_error", "server_error", "server_error"),
    "live": ("websocket_1011",) * 4,
}  # fmt: skip
"""Error words: the provider's own; where it has but a status, what that means."""
VOICES = {
    "openai-responses/stream": "responses", "codex/stream": "responses",
    "azure": "coded", "xai/stream": "coded", "xai-": "coded",
    "openrouter-messages": "messages", "openrouter-responses": "openrouter-responses",
    "openrouter": "openrouter", "perplexity": "perplexity", "mantle": "messages",
    "deepseek-messages": "messages", "anthropic": "messages", "vertex-claude": "messages",
    "foundry-claude": "messages", "bedrock": "bedrock", "cohere": "cohere", "ollama": "ollama",
    "mistral-conversation": "conversation", "mistral": "mistral", "azure-realtime": "openai",
    "live": "live", "vertex-live": "live", "gemini": "google", "vertex/": "google",
    "gemini-chat": "openai", "gemini-completions": "openai",
    "code-assist": "google",
}  # fmt: skip
"""Beginning of an operation's name -> how it words its errors; the longest counts, any other
speaks as OpenAI does."""


def voice(name: str) -> tuple[str, str, str, str]:
    known = [start for start in VOICES if name.startswith(start)]
    return WORDS[VOICES[max(known, key=len)] if known else "openai"]


def test_every_fault_is_told_as_it_was(bench: Bench) -> None:
    scenarios = [*REFUSED, "error-mid-stream", *CUT, *GARBAGE]
    parts = {name: named(name) for name in scenarios}
    operations = every_wire.faulty(scenarios)
    sim = do(bench, by_header(every_wire.HEADER, parts, named("plain")), operations)
    rows = by_operation(bench.rows())
    assert {one.name for one in operations} == set(rows)
    wrong = [
        (one.name, [(row["outcome"], row["completeness"], row.get("error")) for row in made])
        for one in operations
        if not (made := rows[one.name]) or not all(_is_told(one, row) for row in made)
    ]
    assert wrong == []
    # One connection breaks under all its calls at once, and is broken by the first.
    calls = Counter(_name(call.request.header("x-client-request-id")) for call in sim.calls)
    assert {name: len(made) for name, made in rows.items()} == dict(calls)
    # What a reset overtakes on the way, nobody can state.
    known = [row for row in bench.rows() if "cut-reset" not in row["client_request_id"]]
    stated = [
        exchange.known
        for exchange in sim.calls
        if exchange.known and exchange.request.header(every_wire.HEADER) != "cut-reset"
    ]
    assert sum(row.get("input_tokens", 0) for row in known) == sum(
        part.all_input for one in stated for part in one.parts
    )
    assert sum(row.get("output_tokens", 0) for row in known) == sum(
        part.output for one in stated for part in one.parts
    )
    assert bench.journals() == []


def _name(header: str | None) -> str:
    assert header is not None
    return header


def _is_told(operation: Operation, row: Row) -> bool:
    """Whether a row says of its fault what is to be said."""
    name, _, scenario = operation.name.rpartition("/")
    found = row["outcome"], row.get("error")
    unfinished = row["completeness"] != "final" and not row["success"]
    if scenario in REFUSED:
        expected = "error", voice(name)[REFUSED.index(scenario)]
        return found == expected and row["completeness"] == "none"
    if scenario == "error-mid-stream":
        return found == ("error", voice(name)[-1]) and unfinished
    if scenario in CUT:
        return found == ("truncated", "upstream_disconnected") and unfinished
    return _garbage_is_told(name, scenario, row)


def _garbage_is_told(name: str, scenario: str, row: Row) -> bool:
    found = row["outcome"], row["completeness"], row.get("error")
    lost = "error", "none", "malformed_response"
    match scenario:
        case "malformed-stream" if name == "gemini-array/stream":
            # What follows on garbage in an array is none of its elements any more.
            return found == ("error", "partial", "malformed_response")
        case "malformed-stream":
            return found == ("complete", "final", None)
        case "malformed-json":
            return found == lost
        case _ if name.startswith("ollama"):
            return found == lost  # no line of it says that it is the last
    # A Latin-1 letter in a text is no fault; that nothing was stated is noted.
    return found == ("complete", "none", None) and row["notes"] == ["usage_absent"]
