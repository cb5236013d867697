"""Items of a response's output: which of them ask the client for something, or cost extra.

Source: the SDK's ``response_output_item``. Some tools have no name of their own
on the wire; they go by their kind. A shell in a container, a tool search that
the server does itself, and all tools that are not listed run at the provider's.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.wire.openai.responses_shapes import Item
from tokenproxy.wire.usage import ToolUse
from tokenproxy.wire.words import word

CLIENT_TOOLS: Mapping[str, str | None] = {
    "function_call": None,
    "custom_tool_call": None,
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "computer_call": "computer",
    "tool_search_call": "tool_search",
}
"""Type of an item -> the tool's name; None: the item names it."""

SEARCH = "web_search_call"
FILE_SEARCH = "file_search_call"
IMAGE = "image_generation_call"
"""Types of items that the provider charges for beside the model's tokens."""


def tool_use(item: Item) -> ToolUse | None:
    """What an item asks the client to run."""
    kind = item.type or ""
    if kind not in CLIENT_TOOLS or _runs_elsewhere(item):
        return None
    name = CLIENT_TOOLS[kind] or word(item.name)
    identity = word(item.call_id) or word(item.id)
    return None if name is None or identity is None else ToolUse(identity, name)


def _runs_elsewhere(item: Item) -> bool:
    if item.type == "shell_call":
        return item.environment is not None and item.environment.type != "local"
    return item.type == "tool_search_call" and item.execution != "client"
