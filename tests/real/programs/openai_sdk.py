"""The OpenAI SDK: what its response objects say of every call, as JSON lines."""

import asyncio
import json
import sys
import time
from typing import Any

import openai  # type: ignore[import-not-found] # it lives in an environment of its own

MODEL = "gpt-6-sol"
PROMPT = "Say hello."
MESSAGES = [{"role": "user", "content": PROMPT}]


def say(**columns: Any) -> None:
    print(json.dumps(columns), flush=True)  # noqa: T201 - the program's output


def of_chat(usage: Any) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "cache_read_input_tokens": usage.prompt_tokens_details.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "reasoning_output_tokens": usage.completion_tokens_details.reasoning_tokens,
    }


def of_response(usage: Any) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.input_tokens_details.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_output_tokens": usage.output_tokens_details.reasoning_tokens,
    }


def say_response(response: Any, *, stream: bool) -> None:
    say(
        operation="responses", response_id=response.id, model=response.model, stream=stream,
        completeness="final", **of_response(response.usage),
    )  # fmt: skip


def chat(client: Any) -> None:
    done = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    say(
        operation="chat", response_id=done.id, model=done.model, stream=False,
        completeness="final", request_id=done._request_id, **of_chat(done.usage),
    )  # fmt: skip


def chat_stream(client: Any) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    say(
        operation="chat", response_id=chunks[-1].id, model=chunks[-1].model, stream=True,
        completeness="final", **of_chat(chunks[-1].usage),
    )  # fmt: skip


def chat_stream_unasked(client: Any) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    said = [chunk.usage for chunk in chunks if chunk.usage]
    say(
        operation="chat", response_id=chunks[-1].id, model=chunks[-1].model, stream=True,
        completeness="final" if said else "none",
        input_tokens=None, output_tokens=None, cost_usd=None,
    )  # fmt: skip


def responses(client: Any) -> None:
    say_response(client.responses.create(model=MODEL, input=PROMPT), stream=False)


def responses_stream(client: Any) -> None:
    events = list(client.responses.create(model=MODEL, input=PROMPT, stream=True))
    say_response(events[-1].response, stream=True)


def responses_background(client: Any) -> None:
    """Asked for once, fetched until it is there and once more: one call."""
    response = client.responses.create(model=MODEL, input=PROMPT, background=True)
    while response.status in ("queued", "in_progress"):
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    say_response(client.responses.retrieve(response.id), stream=False)


def responses_socket(client: Any) -> None:
    """Two responses over one WebSocket."""
    with client.responses.connect() as connection:
        for _ in range(2):
            connection.response.create(model=MODEL, input=PROMPT)
            for event in connection:
                if event.type == "response.completed":
                    say_response(event.response, stream=True)
                    break


def embeddings(client: Any) -> None:
    done = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    say(
        operation="embeddings", model=done.model, stream=False, completeness="final",
        input_tokens=done.usage.prompt_tokens,
    )  # fmt: skip


def images(client: Any) -> None:
    done = client.images.generate(model="gpt-image-2", prompt="A hat.")
    say(
        operation="image_generation", stream=False, completeness="final",
        input_tokens=done.usage.input_tokens, output_tokens=done.usage.output_tokens,
    )  # fmt: skip


def asynchronous(_client: Any) -> None:
    """Many at once, over the asynchronous client."""

    async def all_at_once() -> list[Any]:
        async with openai.AsyncOpenAI() as client:
            call = client.responses.create
            return await asyncio.gather(*(call(model=MODEL, input=PROMPT) for _ in range(8)))

    for response in asyncio.run(all_at_once()):
        say_response(response, stream=False)


if __name__ == "__main__":
    with openai.OpenAI() as made:
        for name in sys.argv[1:]:
            globals()[name](made)
