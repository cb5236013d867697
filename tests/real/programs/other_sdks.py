"""SDKs of other providers: what their responses say of every call, as JSON lines."""

import json
import sys

MESSAGES = [{"role": "user", "content": "Say hello."}]


def say(model: str, told: tuple[float, float], *, stream: bool) -> None:
    columns = {
        "operation": "chat",
        "stream": stream,
        "completeness": "final",
        "input_tokens": int(told[0]),
        "output_tokens": int(told[1]),
        "requested_model": model,
    }
    print(json.dumps(columns), flush=True)  # noqa: T201 - the program's output


def mistral() -> None:
    from mistralai.client import Mistral  # type: ignore[import-not-found] # not in our environment

    model = "mistral-large-latest"
    with Mistral(api_key="test") as client:
        done = client.chat.complete(model=model, messages=MESSAGES)
        say(model, (done.usage.prompt_tokens, done.usage.completion_tokens), stream=False)
        *_, last = client.chat.stream(model=model, messages=MESSAGES)
        usage = last.data.usage
        say(model, (usage.prompt_tokens, usage.completion_tokens), stream=True)


def cohere() -> None:
    """Two counts are told: what the model read, and what is billed."""
    import cohere as sdk  # type: ignore[import-not-found] # not in our environment

    model = "command-a-03-2025"
    client = sdk.ClientV2(api_key="test")
    billed = client.chat(model=model, messages=MESSAGES).usage.billed_units
    say(model, (billed.input_tokens, billed.output_tokens), stream=False)
    *_, last = client.chat_stream(model=model, messages=MESSAGES)
    billed = last.delta.usage.billed_units
    say(model, (billed.input_tokens, billed.output_tokens), stream=True)


def ollama() -> None:
    import ollama as sdk  # type: ignore[import-not-found] # not in our environment

    model = "llama3.2"
    done = sdk.chat(model=model, messages=MESSAGES)
    say(model, (done.prompt_eval_count, done.eval_count), stream=False)
    *_, last = sdk.chat(model=model, messages=MESSAGES, stream=True)
    say(model, (last.prompt_eval_count, last.eval_count), stream=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
