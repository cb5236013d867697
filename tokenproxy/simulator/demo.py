"""The model that the demo's agent talks to: one small, complete piece of work.

Eight attempts in about two seconds: a title on a small model, four answers of
the main agent (one of them overloaded at first, one writing much to the
cache), two of a subagent on a model of its own.
"""

from __future__ import annotations

import msgspec

from tokenproxy.simulator import messages
from tokenproxy.simulator.faults import overloaded_reply
from tokenproxy.simulator.messages import Json, Message, Tokens
from tokenproxy.simulator.reply import Reply, Request, message_reply
from tokenproxy.simulator.scenarios import Scenario, calls_only, changed, scenario

FIRST_TOKEN_S = 0.06
EVENT_S = 0.012
OVERLOADED_STEP = 2
"""The main agent's answer that is refused once before it is given."""

TITLE = '{"title": "Fix cart rounding"}'


class Step(msgspec.Struct, frozen=True):
    """One answer: its blocks and what it costs. The model is the one asked for."""

    blocks: tuple[Json, ...]
    tokens: Tokens


def _tool(name: str, **tool_input: str) -> Json:
    return messages.tool_use(name, tool_input)


MAIN = (
    Step(
        (
            messages.thinking("A test fails on rounding. First see how it fails."),
            messages.text("I will run the tests to see what fails."),
            _tool("Bash", command="pytest -q", description="Run the tests"),
        ),
        Tokens(model="", input=9, cache_read=21_400, cache_write_1h=6_200, output=148, thinking=61),
    ),
    Step(
        (
            messages.text("One failure in the cart. I will read it and have its callers found."),
            _tool("Read", file_path="shop/cart.py"),
            _tool(
                "Agent",
                description="Find callers of round_price",
                prompt="Find every caller of round_price.",
                subagent_type="Explore",
            ),
        ),
        Tokens(model="", input=4, cache_read=27_600, cache_write_5m=1_150, output=203, thinking=0),
    ),
    Step(
        (
            messages.thinking("Float arithmetic. Decimal with ROUND_HALF_UP is the repair."),
            _tool("Edit", file_path="shop/cart.py", old_string="round(", new_string="quantize("),
        ),
        Tokens(
            model="", input=6, cache_read=28_750, cache_write_5m=41_300, output=412, thinking=188
        ),
    ),
    Step(
        (messages.text("Fixed: prices are now rounded half up, as the invoice does it."),),
        Tokens(model="", input=5, cache_read=70_050, cache_write_5m=520, output=97, thinking=0),
    ),
)
SUBAGENT = (
    Step(
        (_tool("Grep", pattern="round_price", path="shop"),),
        Tokens(model="", input=3, cache_read=8_200, cache_write_5m=1_900, output=66),
    ),
    Step(
        (messages.text("Two callers: shop/cart.py and shop/invoice.py."),),
        Tokens(model="", input=3, cache_read=10_100, cache_write_5m=240, output=58),
    ),
)


@scenario("demo")
def demo() -> Scenario:
    """The script above, told by how far the conversation has come."""
    refused: set[str] = set()

    def reply(request: Request) -> Reply:
        body = request.json
        turns = body.get("messages")
        done = sum(1 for turn in turns or () if turn.get("role") == "assistant")
        if not body.get("tools"):
            return _title(request)
        if request.header("x-claude-code-agent-id"):
            return _answer(request, SUBAGENT, done)
        session = request.header("x-claude-code-session-id") or ""
        if done == OVERLOADED_STEP and session not in refused:
            refused.add(session)
            return overloaded_reply(request, [("retry-after-ms", "250")])
        return _answer(request, MAIN, done)

    return changed(calls_only(reply), encoding="auto")


def _answer(request: Request, steps: tuple[Step, ...], done: int) -> Reply:
    step = steps[min(done, len(steps) - 1)]
    asks = any(block["type"] == "tool_use" for block in step.blocks)
    blocks = tuple(
        # A tool call has an id of its own in each conversation.
        block | {"id": messages.new_id("toolu")} if block["type"] == "tool_use" else block
        for block in step.blocks
    )
    message = Message(
        parts=(msgspec.structs.replace(step.tokens, model=request.model),),
        blocks=blocks,
        stop_reason="tool_use" if asks else "end_turn",
        placeholder_output=3,
    )
    whole = message_reply(message, streamed=True, delay_s=EVENT_S)
    first = msgspec.structs.replace(whole.pieces[0], delay_s=FIRST_TOKEN_S)
    return msgspec.structs.replace(whole, pieces=(first, *whole.pieces[1:]))


def _title(request: Request) -> Reply:
    tokens = Tokens(model=request.model, input=212, output=14)
    message = Message(parts=(tokens,), blocks=(messages.text(TITLE),))
    return message_reply(message, streamed=False, delay_s=FIRST_TOKEN_S)
