"""Scenarios of calls that go well, each with a usage of its own kind."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator import messages, script
from tokenproxy.simulator.messages import Json, Message, Tokens
from tokenproxy.simulator.reply import Reply, Request, keep_alive_gaps
from tokenproxy.simulator.scenarios import answers
from tokenproxy.simulator.wires import wire_of

LINE_BREAKERS = "Odd characters: \u2028 \u0085 \u2029 \r \n data: not a field \N{SNOWMAN}."
"""Text that splits a line where a parser decodes before it splits."""
ADVISOR_MODEL = "claude-opus-5"
FALLBACK_MODEL = "claude-opus-4-8"


def tokens(request: Request, **changes: str | int | bool) -> Tokens:
    """A plain call's tokens on the model asked for; ``changes`` replace single fields."""
    plain = msgspec.structs.replace(script.GOLDEN, model=request.model, output=42)
    return msgspec.structs.replace(plain, **changes)


def plain_message(request: Request) -> Message:
    """A short answer."""
    return Message(parts=(tokens(request),), blocks=(messages.text("Hello from the simulator."),))


def rich_message(request: Request) -> Message:
    """Thinking, then text full of characters that break lines."""
    return Message(
        parts=(tokens(request, output=547, thinking=67),),
        blocks=(
            messages.thinking("The user says hello. A greeting is what is wanted here."),
            messages.text(f"Good morning to you, and welcome. {LINE_BREAKERS}"),
        ),
        placeholder_output=7,
        interim_outputs=(301,),
        states_iterations=True,
    )


def answer(request: Request, message: Message) -> Reply:
    """``message`` in the form that the request asks for."""
    return wire_of(request).reply(request, message)


@answers("plain")
def plain(request: Request) -> Reply:
    """A short answer, JSON or stream as asked."""
    return answer(request, plain_message(request))


@answers("stream")
def stream(request: Request) -> Reply:
    """Thinking and text, two message_delta events, stated iterations."""
    return answer(request, rich_message(request))


@answers("tool-use")
def tool_use(request: Request) -> Reply:
    """The model wants two tools run."""
    message = Message(
        parts=(tokens(request, output=77),),
        blocks=(
            messages.text("I will look."),
            messages.tool_use("Bash", {"command": "ls -la", "description": "List files"}),
            messages.tool_use("Read", {"file_path": "/etc/hostname"}),
        ),
        stop_reason="tool_use",
    )
    return answer(request, message)


@answers("max-tokens")
def max_tokens(request: Request) -> Reply:
    """The answer ends where the request's limit is."""
    message = msgspec.structs.replace(plain_message(request), stop_reason="max_tokens")
    return answer(request, message)


@answers("agent")
def agent(request: Request) -> Reply:
    """The scripted model for real agent clients, see ``script``."""
    return answer(request, wire_of(request).scripted(request))


@answers("slow")
def slow(request: Request) -> Reply:
    """A ping and an event in turn, one each 100 ms."""
    ping = wire_of(request).keep_alive(request)
    return keep_alive_gaps(answer(request, plain_message(request)), gap_s=0.1, ping=ping)


@answers("huge-headers")
def huge_headers(request: Request) -> Reply:
    """Some 48 kB of response headers."""
    right = plain(request)
    extra = tuple((f"x-padding-{number}", "p" * 1000) for number in range(48))
    return msgspec.structs.replace(right, headers=(*right.headers, *extra))


@answers("web-search")
def web_search(request: Request) -> Reply:
    """Input that grows while the model searches: 2,679 at the start, 10,682 at the end."""
    found: Json = {
        "type": "web_search_result",
        "title": "Eclipses",
        "url": "https://example.com/eclipses",
        "encrypted_content": "c2ltdWxhdGVk",
        "page_age": None,
    }
    search_id = messages.new_id("srvtoolu")
    message = Message(
        parts=(
            tokens(
                request, input=10_682, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=510
            ),
        ),
        start_input=2_679,
        server_tools={"web_search_requests": 2},
        blocks=(
            {
                "type": "server_tool_use",
                "id": search_id,
                "name": "web_search",
                "input": {"query": "next solar eclipse"},
            },
            {"type": "web_search_tool_result", "tool_use_id": search_id, "content": [found]},
            messages.text("The next one is in August."),
        ),
    )
    return answer(request, message)


@answers("compaction")
def compaction(request: Request) -> Reply:
    """The context was compacted first: billed, but in no top-level count."""
    few = {"cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}
    message = Message(
        parts=(
            tokens(request, role="compaction", input=180_000, output=3_500, **few),
            tokens(request, input=23_000, output=1_000, **few),
        ),
        blocks=(
            {"type": "compaction", "content": "What happened so far."},
            messages.text("Going on from there."),
        ),
    )
    return answer(request, message)


@answers("advisor")
def advisor(request: Request) -> Reply:
    """Two iterations of the model with an advisor's between them, on a dearer model."""
    call_id = messages.new_id("srvtoolu")
    message = Message(
        parts=(
            tokens(request, input=412, cache_read=0, output=89),
            Tokens(role="advisor", model=ADVISOR_MODEL, input=823, output=1_612),
            tokens(request, input=1_348, cache_read=412, output=442),
        ),
        blocks=(
            {"type": "server_tool_use", "id": call_id, "name": "advisor", "input": {}},
            {
                "type": "advisor_tool_result",
                "tool_use_id": call_id,
                "content": {"type": "advisor_result", "text": "Keep it short."},
            },
            messages.text("Here is the short version."),
        ),
    )
    return answer(request, message)


def fallback_message(request: Request, *, declined_output: int) -> Message:
    """The model asked for declines after ``declined_output`` tokens; another one serves."""
    declined = tokens(
        request,
        role="fallback_declined",
        output=declined_output,
        billable=declined_output > 0,
    )
    served = tokens(request, role="fallback_served", model=FALLBACK_MODEL, input=31, output=264)
    hop = {
        "type": "fallback",
        "from": {"model": request.model},
        "to": {"model": FALLBACK_MODEL},
        "trigger": {"type": "refusal", "category": "cyber", "explanation": None},
    }
    begun = (messages.text("Let me"),) if declined_output else ()
    return Message(
        parts=(declined, served),
        blocks=(*begun, hop, messages.text("Happy to explain that.")),
        placeholder_output=5 if declined_output else 0,
    )


@answers("fallback")
def fallback(request: Request) -> Reply:
    """Declined before any output (not billed), served by another model."""
    return answer(request, fallback_message(request, declined_output=0))


@answers("fallback-mid-output")
def fallback_mid_output(request: Request) -> Reply:
    """Declined after some output (billed at its own rates), served by another model."""
    return answer(request, fallback_message(request, declined_output=106))


@answers("refusal")
def refusal(request: Request) -> Reply:
    """Refused before any output, nobody else serves: stated, not billed."""
    message = Message(
        parts=(tokens(request, output=0, billable=False),),
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": "cyber", "explanation": None},
        placeholder_output=0,
    )
    return answer(request, message)
