"""boto3's Bedrock runtime: what its responses say of every call, as JSON lines."""

import json
import sys
from typing import Any

import boto3  # type: ignore[import-not-found] # it lives in an environment of its own

MODEL = "anthropic.claude-opus-5-5-v1:0"
CONTENT = [{"role": "user", "content": [{"text": "Say hello."}]}]
BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Say hello."}],
    }
)


def say(**columns: Any) -> None:
    print(json.dumps(columns), flush=True)  # noqa: T201 - the program's output


def say_message(usage: dict[str, int], *, stream: bool, request_id: str) -> None:
    say(
        stream=stream, completeness="final", request_id=request_id,
        uncached_input_tokens=usage["input_tokens"],
        cache_read_input_tokens=usage["cache_read_input_tokens"],
        cache_creation_input_tokens=usage["cache_creation_input_tokens"],
        output_tokens=usage["output_tokens"],
    )  # fmt: skip


def say_converse(usage: dict[str, int], *, stream: bool, request_id: str) -> None:
    say(
        stream=stream, completeness="final", request_id=request_id,
        uncached_input_tokens=usage["inputTokens"],
        cache_read_input_tokens=usage["cacheReadInputTokens"],
        cache_creation_input_tokens=usage["cacheWriteInputTokens"],
        input_tokens=usage["totalTokens"] - usage["outputTokens"],
        output_tokens=usage["outputTokens"],
    )  # fmt: skip


def request_id_of(response: dict[str, Any]) -> str:
    return str(response["ResponseMetadata"]["RequestId"])


def invoke(client: Any) -> None:
    response = client.invoke_model(modelId=MODEL, body=BODY)
    usage = json.loads(response["body"].read())["usage"]
    say_message(usage, stream=False, request_id=request_id_of(response))


def invoke_stream(client: Any) -> None:
    response = client.invoke_model_with_response_stream(modelId=MODEL, body=BODY)
    events = [json.loads(event["chunk"]["bytes"]) for event in response["body"]]
    # The input is told at the start, the output at the end.
    usage: dict[str, int] = {}
    for event in events:
        usage |= event.get("message", event).get("usage", {})
    say_message(usage, stream=True, request_id=request_id_of(response))


def converse(client: Any) -> None:
    response = client.converse(modelId=MODEL, messages=CONTENT)
    say_converse(response["usage"], stream=False, request_id=request_id_of(response))


def converse_stream(client: Any) -> None:
    response = client.converse_stream(modelId=MODEL, messages=CONTENT)
    usage = next(event["metadata"]["usage"] for event in response["stream"] if "metadata" in event)
    say_converse(usage, stream=True, request_id=request_id_of(response))


if __name__ == "__main__":
    made = boto3.client("bedrock-runtime")
    for name in sys.argv[1:]:
        globals()[name](made)
