"""The Anthropic SDK: what its message objects say of every call, as JSON lines."""

import json
import sys
from typing import Any

import anthropic  # type: ignore[import-not-found] # it lives in an environment of its own

ASKED: dict[str, Any] = {
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Say hello."}],
}


def say(message: Any, *, stream: bool) -> None:
    usage = message.usage
    columns = {
        "operation": "chat",
        "response_id": message.id,
        "model": message.model,
        "stream": stream,
        "completeness": "final",
        "stop_reason": message.stop_reason,
        "uncached_input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    print(json.dumps(columns), flush=True)  # noqa: T201 - the program's output


def plain(client: Any, model: str) -> None:
    say(client.messages.create(**ASKED, model=model), stream=False)


def stream(client: Any, model: str) -> None:
    with client.messages.stream(**ASKED, model=model) as events:
        say(events.get_final_message(), stream=True)


def count(client: Any, model: str) -> None:
    """Asks no model: no row."""
    client.messages.count_tokens(model=model, messages=ASKED["messages"])


CLIENTS = {
    "anthropic": anthropic.Anthropic,
    "bedrock": anthropic.AnthropicBedrock,
    "vertex": anthropic.AnthropicVertex,
    "foundry": anthropic.AnthropicFoundry,
}

if __name__ == "__main__":
    kind, *names = sys.argv[1:]
    model = "anthropic.claude-opus-5-5-v1:0" if kind == "bedrock" else "claude-opus-5-5"
    given: dict[str, Any] = {"access_token": "ya29.test"} if kind == "vertex" else {}
    with CLIENTS[kind](**given) as made:
        for name in names:
            globals()[name](made, model)
