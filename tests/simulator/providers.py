"""Every wire as a test asks it and reads it: a path, a body, and a reader of plain JSON."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Counts = dict[str, int]
"""What a reader found: input, read, write, output, reasoning; only what was stated."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """One operation of one provider."""

    path: str
    provider: str
    read: Callable[[list[Json]], Counts]
    stream_path: str = ""
    """Where a stream is asked for, if the path says so."""
    body: Json
    stream: Json
    """What the body has more when a stream is asked for."""
    plain: Json
    framing: str = "sse"

    @property
    def streaming(self) -> tuple[str, Json]:
        return self.stream_path or self.path, self.body | self.stream


def chat_usage(usage: Json) -> Counts:
    details = usage.get("prompt_tokens_details", {})
    read, write = details.get("cached_tokens", 0), details.get("cache_write_tokens", 0)
    reasoning = usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return {
        "input": usage["prompt_tokens"] - read - write,
        "read": read,
        "write": write,
        "output": usage["completion_tokens"],
        "reasoning": reasoning,
    }


def chat(objects: list[Json]) -> Counts:
    (usage,) = [o["usage"] for o in objects if o.get("usage")]
    return chat_usage(usage)


def groq(objects: list[Json]) -> Counts:
    found = [o["usage"] for o in objects if o.get("usage")]
    found += [o["x_groq"]["usage"] for o in objects if "usage" in o.get("x_groq", {})]
    return chat_usage(found[0])


def deepseek(objects: list[Json]) -> Counts:
    (usage,) = [o["usage"] for o in objects if o.get("usage")]
    assert usage["prompt_tokens"] == (
        usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"]
    )
    assert chat_usage(usage)["input"] == usage["prompt_cache_miss_tokens"]
    return chat_usage(usage)


def xai(objects: list[Json]) -> Counts:
    (usage,) = [o["usage"] for o in objects if o.get("usage")]
    read = usage["prompt_tokens_details"]["cached_tokens"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    output = usage["completion_tokens"] + reasoning
    assert usage["total_tokens"] == usage["prompt_tokens"] + output
    assert usage["cost_in_usd_ticks"] > 0
    return {
        "input": usage["prompt_tokens"] - read,
        "read": read,
        "output": output,
        "reasoning": reasoning,
    }


def gemini_chat(objects: list[Json]) -> Counts:
    usage = objects[-1]["usage"]
    thoughts = usage["total_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"]
    read = usage["prompt_tokens_details"]["cached_tokens"]
    return {
        "input": usage["prompt_tokens"] - read,
        "read": read,
        "output": usage["completion_tokens"] + thoughts,
        "reasoning": thoughts,
    }


def perplexity(objects: list[Json]) -> Counts:
    usage = objects[-1]["usage"]
    beside = usage["reasoning_tokens"] + usage["citation_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["num_search_queries"] == 1
    return {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"] + beside,
        "reasoning": usage["reasoning_tokens"],
    }


def messages(objects: list[Json]) -> Counts:
    usage: Json = {}
    for item in objects:
        stated = item["message"]["usage"] if "message" in item else item.get("usage", {})
        usage |= stated
    details = usage.get("output_tokens_details", {})
    return {
        "input": usage["input_tokens"],
        "read": usage["cache_read_input_tokens"],
        "write": usage["cache_creation_input_tokens"],
        "output": usage["output_tokens"],
        "reasoning": details.get("thinking_tokens", 0),
    }


def responses(objects: list[Json]) -> Counts:
    last = objects[-1]
    usage = last.get("response", last)["usage"]
    details = usage["input_tokens_details"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    read, write = details["cached_tokens"], details["cache_write_tokens"]
    assert details["cache_write_tokens_details"]["ttl_30m_tokens"] == write
    return {
        "input": usage["input_tokens"] - read - write,
        "read": read,
        "write": write,
        "output": usage["output_tokens"],
        "reasoning": usage["output_tokens_details"]["reasoning_tokens"],
    }


def gemini(objects: list[Json]) -> Counts:
    usage: Json = {}
    for item in objects:
        usage |= item.get("response", item)["usageMetadata"]
    thoughts = usage.get("thoughtsTokenCount", 0)
    read = usage.get("cachedContentTokenCount", 0)
    output = usage["candidatesTokenCount"] + thoughts
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + output
    return {
        "input": usage["promptTokenCount"] - read,
        "read": read,
        "output": output,
        "reasoning": thoughts,
    }


def interaction(objects: list[Json]) -> Counts:
    last = objects[-1]
    usage = last.get("interaction", last)["usage"]
    assert usage["total_tokens"] == (
        usage["total_input_tokens"] + usage["total_output_tokens"] + usage["total_thought_tokens"]
    )
    return {
        "input": usage["total_input_tokens"] - usage["total_cached_tokens"],
        "read": usage["total_cached_tokens"],
        "output": usage["total_output_tokens"] + usage["total_thought_tokens"],
        "reasoning": usage["total_thought_tokens"],
    }


def conversation(objects: list[Json]) -> Counts:
    usage = objects[-1]["usage"]
    connected = usage["connector_tokens"] or 0
    assert bool(connected) is bool(usage["connectors"])
    assert usage["total_tokens"] == (
        usage["prompt_tokens"] + connected + usage["completion_tokens"]
    )
    return {"input": usage["prompt_tokens"] + connected, "output": usage["completion_tokens"]}


def converse(objects: list[Json]) -> Counts:
    usage = objects[-1]["usage"]
    write = sum(part["inputTokens"] for part in usage["cacheDetails"])
    assert write == usage["cacheWriteInputTokens"]
    assert usage["totalTokens"] == (
        usage["inputTokens"] + usage["cacheReadInputTokens"] + write + usage["outputTokens"]
    )
    return {
        "input": usage["inputTokens"],
        "read": usage["cacheReadInputTokens"],
        "write": write,
        "output": usage["outputTokens"],
    }


def invoke(objects: list[Json]) -> Counts:
    decoded = [json.loads(base64.b64decode(o["bytes"])) if "bytes" in o else o for o in objects]
    found = messages(decoded)
    if metrics := decoded[-1].get("amazon-bedrock-invocationMetrics"):
        assert metrics["inputTokenCount"] == found["input"]
        assert metrics["outputTokenCount"] == found["output"]
        assert metrics["cacheReadInputTokenCount"] == found["read"]
        assert metrics["cacheWriteInputTokenCount"] == found["write"]
    return found


def cohere(objects: list[Json]) -> Counts:
    last = objects[-1]
    usage = last.get("delta", last).get("usage") or last.get("response", last)["meta"]
    billed, read = usage["billed_units"], usage["tokens"]
    assert read["input_tokens"] > billed["input_tokens"]
    return {"input": billed["input_tokens"], "output": billed["output_tokens"]}


def ollama(objects: list[Json]) -> Counts:
    last = objects[-1]
    assert last["done"] is True
    return {"input": last["prompt_eval_count"], "output": last["eval_count"]}


def sse_objects(body: bytes) -> list[Json]:
    lines = body.decode().split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(item) for item in data if item != "[DONE]"]


def lines(body: bytes) -> list[Json]:
    return [json.loads(line) for line in body.splitlines()]


def array(body: bytes) -> list[Json]:
    return list(json.loads(body))


def frames(body: bytes) -> Iterator[tuple[Json, Json]]:
    """Headers and payload of each message; both checksums are checked."""
    at = 0
    while at < len(body):
        total, headers_size, crc = struct.unpack_from(">III", body, at)
        assert zlib.crc32(body[at : at + 8]) == crc
        (last,) = struct.unpack_from(">I", body, at + total - 4)
        assert zlib.crc32(body[at : at + total - 4]) == last
        head = body[at + 12 : at + 12 + headers_size]
        payload = body[at + 12 + headers_size : at + total - 4]
        yield dict(_strings(head)), json.loads(payload)
        at += total


def event_stream(body: bytes) -> list[Json]:
    return [payload for headers, payload in frames(body) if headers[":message-type"] == "event"]


FRAMINGS: dict[str, Callable[[bytes], list[Json]]] = {
    "sse": sse_objects,
    "lines": lines,
    "array": array,
    "eventstream": event_stream,
}


def _strings(head: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(head):
        size = head[at]
        name = head[at + 1 : at + 1 + size].decode()
        kind, length = struct.unpack_from(">BH", head, at + 1 + size)
        assert kind == 7
        start = at + size + 4
        yield name, head[start : start + length].decode()
        at = start + length


SAY = [{"role": "user", "content": "hello"}]
STREAM: Json = {"stream": True}
USAGE: Json = {"stream": True, "stream_options": {"include_usage": True}}


def _chat(path: str, provider: str, model: str, read: Any = chat, stream: Json = USAGE) -> Api:
    return Api(
        path=path,
        provider=provider,
        read=read,
        body={"model": model, "messages": SAY},
        stream=stream,
        plain={},
    )


def _messages(path: str, provider: str) -> Api:
    body = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": SAY}
    return Api(path=path, provider=provider, read=messages, body=body, stream=STREAM, plain={})


def _by_path(  # noqa: PLR0917 - one row of a table
    path: str, verbs: tuple[str, str], provider: str, read: Any, body: Json, framing: str = "sse"
) -> Api:
    return Api(
        path=path + verbs[0],
        stream_path=path + verbs[1],
        provider=provider,
        read=read,
        body=body,
        stream={},
        plain={},
        framing=framing,
    )


def _gemini(path: str, provider: str, *, sse: bool, wrapped: bool = False) -> Api:
    body: Json = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    if wrapped:
        body = {"model": "gemini-3-flash", "user_prompt_id": "p", "request": body}
    stream = ":streamGenerateContent" + ("?alt=sse" if sse else "")
    framing = "sse" if sse else "array"
    return _by_path(path, (":generateContent", stream), provider, gemini, body, framing)


PLACE = "/v1/projects/p/locations/global/publishers"
CLAUDE: Json = {"anthropic_version": "x", "max_tokens": 9, "messages": SAY}
TURNS: Json = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
SONNET = "/model/us.anthropic.claude-sonnet-5-v1%3A0"
ASK: Json = {"model": "gpt-6-sol", "input": "hello"}

APIS = {
    "openai": _chat("/v1/chat/completions", "openai", "gpt-6-sol"),
    "openai-flavoured": _chat("/openai/v1/chat/completions", "openai", "gpt-6-sol"),
    "openai-responses": Api(path="/v1/responses", provider="openai", read=responses, body=ASK,
                            stream=STREAM, plain={}),
    "codex": Api(path="/backend-api/codex/responses", provider="openai", read=responses, body=ASK,
                 stream=STREAM, plain={}),
    "azure": _chat("/openai/deployments/prod/chat/completions?api-version=1", "azure.ai.openai",
                   "gpt-6-sol"),
    "deepseek": _chat("/deepseek/chat/completions", "deepseek", "deepseek-chat", deepseek, STREAM),
    "deepseek-messages": _messages("/deepseek/anthropic/v1/messages", "deepseek"),
    "mistral": _chat("/mistral/v1/chat/completions", "mistral_ai", "mistral-small-latest", chat,
                     STREAM),
    "mistral-conversation": Api(path="/v1/conversations", provider="mistral_ai", read=conversation,
                                body={"model": "mistral-medium-latest", "inputs": "hello"},
                                stream=STREAM, plain={}),
    "xai": _chat("/xai/v1/chat/completions", "x_ai", "grok-4.7", xai, STREAM),
    "xai-responses": Api(path="/xai/v1/responses", provider="x_ai", read=responses,
                         body=ASK | {"model": "grok-4.7"}, stream=STREAM, plain={}),
    "groq": _chat("/groq/openai/v1/chat/completions", "groq", "openai/gpt-oss-20b", groq, STREAM),
    "openrouter": _chat("/openrouter/api/v1/chat/completions", "openrouter", "z-ai/glm-5.3", chat,
                        STREAM),
    "openrouter-messages": _messages("/openrouter/api/v1/messages", "openrouter"),
    "perplexity": _chat("/perplexity/chat/completions", "perplexity", "sonar", perplexity, STREAM),
    "together": _chat("/together/v1/chat/completions", "together_ai", "zai-org/GLM-5.3"),
    "gemini": _gemini("/v1beta/models/gemini-3-flash", "google", sse=True),
    "gemini-array": _gemini("/google/v1beta/models/gemini-3-flash", "google", sse=False),
    "gemini-chat": _chat("/v1beta/openai/chat/completions", "google", "gemini-3-flash",
                         gemini_chat),
    "vertex": _gemini(f"{PLACE}/google/models/gemini-3-flash", "gcp.vertex_ai", sse=True),
    "code-assist": _gemini("/v1internal", "google", sse=True, wrapped=True),
    "gemini-interaction": Api(path="/v1beta/interactions", provider="google", read=interaction,
                              body={"model": "gemini-3-flash", "input": "hello"}, stream=STREAM,
                              plain={}),
    "anthropic": _messages("/v1/messages?beta=true", "anthropic"),
    "vertex-claude": _by_path(f"/vertex{PLACE}/anthropic/models/claude-opus-5-5",
                              (":rawPredict", ":streamRawPredict"), "gcp.vertex_ai", messages,
                              CLAUDE),
    "foundry-claude": _messages("/foundry/anthropic/v1/messages", "azure.ai.inference"),
    "mantle": _messages("/bedrock/anthropic/v1/messages", "aws.bedrock"),
    "bedrock-invoke": _by_path(SONNET, ("/invoke", "/invoke-with-response-stream"), "aws.bedrock",
                               invoke, CLAUDE, "eventstream"),
    "bedrock-converse": _by_path("/bedrock" + SONNET, ("/converse", "/converse-stream"),
                                 "aws.bedrock", converse, TURNS, "eventstream"),
    "cohere": _chat("/v2/chat", "cohere", "command-a", cohere, STREAM),
    "cohere-v1": Api(path="/cohere/v1/chat", provider="cohere", read=cohere, framing="lines",
                     body={"model": "command-r", "message": "hello"}, stream=STREAM, plain={}),
    "ollama": Api(path="/api/chat", provider="ollama", read=ollama, framing="lines", stream={},
                  body={"model": "qwen3.8:27b", "messages": SAY}, plain={"stream": False}),
    "ollama-generate": Api(path="/api/generate", provider="ollama", read=ollama, framing="lines",
                           body={"model": "qwen3.8:27b", "prompt": "hello"}, stream={},
                           plain={"stream": False}),
}  # fmt: skip
