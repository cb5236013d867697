"""Output items of the Responses API, and the events by which a stream builds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from tokenproxy.simulator.messages import Json, Message, cut_words, plain_id


def items_of(message: Message) -> list[Json]:
    """The output items that say ``message``, finished."""
    return [_ITEMS[kind](block) for block in message.blocks if (kind := block["type"]) in _ITEMS]


def item_events(index: int, item: Json) -> Iterator[Json]:
    """The events that add ``item`` as output ``index``."""
    empty, inner = _INNER.get(item["type"], _nothing)(item)
    place = {"item_id": item["id"], "output_index": index}
    added = item | {"status": "in_progress"} | empty if "status" in item else item | empty
    yield {"type": "response.output_item.added", "output_index": index, "item": added}
    for event in inner:
        yield event | place
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _text(block: Json) -> Json:
    content = {"type": "output_text", "text": block["text"], "annotations": [], "logprobs": []}
    return {
        "id": plain_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }


def _thinking(block: Json) -> Json:
    return {
        "id": plain_id("rs"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": block["thinking"]}],
        "encrypted_content": None,
    }


def _tool_use(block: Json) -> Json:
    call_id = block["id"].replace("toolu_01", "call_")
    match block.get("kind"):
        case "local_shell":
            action = {"type": "exec", "command": block["input"]["command"], "env": {}}
            return {
                "id": plain_id("lsh"),
                "type": "local_shell_call",
                "call_id": call_id,
                "status": "completed",
                "action": action | {"timeout_ms": 10_000, "user": None, "working_directory": None},
            }
        case "custom":
            return {
                "id": plain_id("ctc"),
                "type": "custom_tool_call",
                "call_id": call_id,
                "status": "completed",
                "name": block["name"],
                "input": str(next(iter(block["input"].values()), "")),
            }
    item = {
        "id": plain_id("fc"),
        "type": "function_call",
        "call_id": call_id,
        "status": "completed",
        "name": block["name"],
        "arguments": msgspec.json.encode(block["input"]).decode(),
    }
    return item | {"namespace": block["namespace"]} if block.get("namespace") else item


_ITEMS: Mapping[str, Callable[[Json], Json]] = {
    "text": _text,
    "thinking": _thinking,
    "tool_use": _tool_use,
}

Inner = tuple[Json, list[Json]]
"""The fields that are still empty when an item is added, and the events that fill them."""


def _deltas(kind: str, text: str, key: str, place: Json) -> list[Json]:
    events: list[Json] = [
        {"type": f"response.{kind}.delta", "delta": part} | place for part in cut_words(text)
    ]
    return [*events, {"type": f"response.{kind}.done", key: text} | place]


def _of_message(item: Json) -> Inner:
    part = item["content"][0]
    place = {"content_index": 0}
    events = [
        {"type": "response.content_part.added", "part": part | {"text": ""}} | place,
        *(e | {"logprobs": []} for e in _deltas("output_text", part["text"], "text", place)),
        {"type": "response.content_part.done", "part": part} | place,
    ]
    return {"content": []}, events


def _of_reasoning(item: Json) -> Inner:
    part = item["summary"][0]
    place = {"summary_index": 0}
    events = [
        {"type": "response.reasoning_summary_part.added", "part": part | {"text": ""}} | place,
        *_deltas("reasoning_summary_text", part["text"], "text", place),
        {"type": "response.reasoning_summary_part.done", "part": part} | place,
    ]
    return {"summary": []}, events


def _of_function_call(item: Json) -> Inner:
    arguments = item["arguments"]
    return {"arguments": ""}, _deltas("function_call_arguments", arguments, "arguments", {})


def _of_custom_call(item: Json) -> Inner:
    return {"input": ""}, _deltas("custom_tool_call_input", item["input"], "input", {})


def _nothing(_item: Json) -> Inner:
    return {}, []


_INNER: Mapping[str, Callable[[Json], Inner]] = {
    "message": _of_message,
    "reasoning": _of_reasoning,
    "function_call": _of_function_call,
    "custom_tool_call": _of_custom_call,
}
