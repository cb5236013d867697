"""The google-genai SDK: what its responses say of every call, as JSON lines."""

import asyncio
import json
import os
import sys
from typing import Any

from google import genai  # type: ignore[import-untyped] # in an environment of its own

MODEL = "gemini-3-flash"
PROMPT = "Say hello."


def say(**columns: Any) -> None:
    print(json.dumps(columns), flush=True)  # noqa: T201 - the program's output


def say_generated(*chunks: Any) -> None:
    last = chunks[-1]
    usage = last.usage_metadata
    # An API that states the cached tokens in the first chunk does not repeat them.
    cached = [chunk.usage_metadata.cached_content_token_count for chunk in chunks]
    say(
        operation="generate_content", response_id=last.response_id, model=last.model_version,
        completeness="final",
        input_tokens=usage.prompt_token_count,
        cache_read_input_tokens=next((count for count in cached if count), None),
        output_tokens=usage.total_token_count - usage.prompt_token_count,
        reasoning_output_tokens=usage.thoughts_token_count,
    )  # fmt: skip


def generate(client: Any) -> None:
    say_generated(client.models.generate_content(model=MODEL, contents=PROMPT))


def stream(client: Any) -> None:
    say_generated(*client.models.generate_content_stream(model=MODEL, contents=PROMPT))


def asynchronous(client: Any) -> None:
    async def both() -> None:
        call = client.aio.models
        say_generated(await call.generate_content(model=MODEL, contents=PROMPT))
        chunks = [
            chunk
            async for chunk in await call.generate_content_stream(model=MODEL, contents=PROMPT)
        ]
        say_generated(*chunks)

    asyncio.run(both())


def embed(client: Any) -> None:
    client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    say(operation="embeddings", requested_model="gemini-embedding-001")


def count(client: Any) -> None:
    """Asks no model: no row."""
    client.models.count_tokens(model=MODEL, contents=PROMPT)


if __name__ == "__main__":
    kind, *names = sys.argv[1:]
    given: dict[str, Any] = (
        {"vertexai": True, "api_key": os.environ["GOOGLE_API_KEY"]} if kind == "vertex" else {}
    )
    with genai.Client(**given) as made:
        for name in names:
            globals()[name](made)
