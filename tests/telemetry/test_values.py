"""What the ledger calls otherwise than the conventions do, and what telemetry alone tells."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.record.call import Call
from tokenproxy.telemetry.call_attributes import CallAttributes
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv
from tokenproxy.wire.settings import Settings

(CALL,) = [call for call in scene.calls() if call.start.call_id == "call-1"]


def changed(
    *, settings: Settings | None = None, context_compacted: str | None = None, **start: object
) -> Call:
    who = msgspec.structs.replace(CALL.start.attribution, context_compacted=context_compacted)
    return msgspec.structs.replace(
        CALL,
        start=msgspec.structs.replace(CALL.start, attribution=who, **start),
        request=msgspec.structs.replace(CALL.request, settings=settings or Settings()),
    )


def told(call: Call, dialect: Semconv = V1_41, *, row: bool = True) -> dict[str, Any]:
    made = scene.row_of(call) if row else None
    return CallAttributes(dialect, scene.RUN).all(call, made)


@pytest.mark.parametrize(
    ("ledger", "conventions"),
    [
        ("chat", "chat"),
        ("responses", "chat"),
        ("compact", "chat"),
        ("realtime", "generate_content"),
        ("interactions", "generate_content"),
        ("image_generation", "generate_content"),
        ("embeddings", "embeddings"),
        ("rerank", "rerank"),
    ],
)
def test_an_operation_has_its_well_known_name(ledger: str, conventions: str) -> None:
    call = changed(operation=ledger)
    said = told(call)
    assert said["gen_ai.operation.name"] == conventions
    assert said["tokenproxy.operation"] == ledger
    kind, _ = CallAttributes(V1_41, scene.RUN).shared(call, scene.row_of(call))
    assert kind.name == f"{conventions} {CALL.request.model}"


def test_a_fetch_is_no_answer() -> None:
    call = changed(operation="responses", kind="replay")
    assert told(call, row=False)["gen_ai.operation.name"] == "fetch_response"
    kind, _ = CallAttributes(V1_41, scene.RUN).shared(call, None)
    assert kind.name.startswith("fetch_response ")


def test_openai_has_attributes_of_its_own() -> None:
    asked = Settings(service_tier="flex")
    said = told(changed(provider="openai", operation="responses", settings=asked))
    assert said["openai.api.type"] == "responses"
    assert said["openai.request.service_tier"] == "flex"
    assert said["openai.response.service_tier"] == "standard"
    said = told(changed(provider="openai", settings=Settings(service_tier="auto")))
    assert said["openai.api.type"] == "chat_completions"
    assert "openai.request.service_tier" not in said


@pytest.mark.parametrize("provider", ["anthropic", "azure.ai.openai", "groq"])
def test_nobody_else_has_them(provider: str) -> None:
    said = told(changed(provider=provider, settings=Settings(service_tier="flex")))
    assert not [name for name in said if name.startswith("openai.")]


def test_azure_names_its_resource() -> None:
    said = told(changed(provider="azure.ai.inference"))
    assert said["azure.resource_provider.namespace"] == "Microsoft.CognitiveServices"


def test_settings_are_told() -> None:
    asked = Settings(
        choice_count=2,
        seed=-7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        output_type="json",
        reasoning_level="high",
        previous_response_id="resp_1",
    )
    said = told(changed(settings=asked), GENAI_MAIN)
    assert said["gen_ai.request.choice.count"] == 2
    assert said["gen_ai.request.seed"] == -7
    assert said["gen_ai.request.frequency_penalty"] == 0.1
    assert said["gen_ai.request.presence_penalty"] == 0.2
    assert said["gen_ai.output.type"] == "json"
    assert said["gen_ai.request.reasoning.level"] == "high"
    assert said["gen_ai.request.previous_response.id"] == "resp_1"
    assert "gen_ai.request.reasoning.level" not in told(changed(settings=asked))


def test_one_choice_is_what_is_assumed() -> None:
    assert "gen_ai.request.choice.count" not in told(changed(settings=Settings(choice_count=1)))


@pytest.mark.parametrize(
    ("sent", "expected"), [("true", True), ("1", True), ("false", None), ("0", None), (None, None)]
)
def test_a_compacted_conversation_is_told_and_its_contrary_is_not(
    sent: str | None, expected: bool | None
) -> None:
    said = told(changed(context_compacted=sent), GENAI_MAIN)
    assert said.get("gen_ai.conversation.compacted") is expected


def test_embeddings_are_no_inference_in_genai_main() -> None:
    call = changed(operation="embeddings")
    metrics = {metric.name for metric, _ in Memory(dialect=GENAI_MAIN).play([call]).points}
    assert "gen_ai.client.embeddings.duration" in metrics
    assert "gen_ai.client.embeddings.operation.input_tokens" in metrics
    assert not [name for name in metrics if name.startswith("gen_ai.client.inference")]
    old = {metric.name for metric, _ in Memory().play([call]).points}
    assert {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} <= old
