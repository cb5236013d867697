from __future__ import annotations

import pytest

from tokenproxy.simulator.targets import target_of


@pytest.mark.parametrize(
    ("method", "path", "flavour", "wire", "model"),
    [
        ("POST", "/v1/messages?beta=true", "anthropic", "anthropic.messages", ""),
        ("POST", "/anthropic/v1/messages", "anthropic", "anthropic.messages", ""),
        ("POST", "/deepseek/anthropic/v1/messages", "deepseek", "anthropic.messages", ""),
        ("POST", "/api/v1/messages", "openrouter", "anthropic.messages", ""),
        ("POST", "/v1/chat/completions", "openai", "openai.chat", ""),
        ("POST", "/chat/completions", "deepseek", "openai.chat", ""),
        ("POST", "/zai/api/paas/v4/chat/completions", "zai", "openai.chat", ""),
        ("POST", "/openai/deployments/d/embeddings", "azure", "openai.embeddings", "d"),
        ("POST", "/openai/deployments/d/audio/speech", "azure", "openai.speech", "d"),
        ("POST", "/azure/openai/deployments/d/images/generations", "azure", "openai.images", "d"),
        ("POST", "/foundry/models/chat/completions", "foundry", "openai.chat", ""),
        ("POST", "/copilot/chat/completions", "copilot", "openai.chat", ""),
        ("POST", "/v1/responses/compact", "openai", "openai.compact", ""),
        ("WS", "/backend-api/codex/responses", "openai", "openai.responses", ""),
        ("POST", "/v1beta/models/g:embedContent", "google", "google.embed", "g"),
        ("POST", "/v1beta/models/g:batchEmbedContents", "google", "google.embed", "g"),
        ("POST", "/v1beta/tunedModels/g:generateContent", "google", "google.generate", "g"),
        ("POST", "/v1beta/openai/chat/completions", "google", "openai.chat", ""),
        ("POST", "/v1/publishers/google/models/g:generateContent", "vertex", "google.generate",
         "g"),
        ("POST", "/v1/projects/p/locations/l/publishers/google/models/g:predict", "vertex",
         "google.predict", "g"),
        ("POST", "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "vertex",
         "openai.chat", ""),
        ("POST", "/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", "vertex",
         "openai.chat", "m"),
        ("POST", "/model/arn%3Aaws%3Abedrock%3A%3A1%3Ainference-profile%2Fx/converse", "bedrock",
         "bedrock.converse", "arn:aws:bedrock::1:inference-profile/x"),
        ("POST", "/api/embeddings", "ollama", "ollama.embed", ""),
        ("POST", "/v2/rerank", "cohere", "cohere.rerank", ""),
        ("POST", "/mistral/v1/fim/completions", "mistral", "openai.completions", ""),
        ("POST", "/v1/conversations/conv_1/restart", "mistral", "mistral.conversations", ""),
        ("POST", "/v1/ocr", "mistral", "mistral.ocr", ""),
        ("POST", "/v1beta/interactions?alt=sse", "google", "google.interactions", ""),
    ],
)  # fmt: skip
def test_calls(method: str, path: str, flavour: str, wire: str, model: str) -> None:
    target = target_of(method, path)
    assert (target.flavour, target.wire, target.model) == (flavour, wire, model)
    assert target.call


@pytest.mark.parametrize(
    ("method", "path", "flavour"),
    [
        ("POST", "/v1/messages/count_tokens", "anthropic"),
        ("GET", "/v1/messages", "anthropic"),
        ("HEAD", "/", "anthropic"),
        ("GET", "/v1/chat/completions", "openai"),
        ("POST", "/v1/responses/input_tokens", "openai"),
        ("GET", "/v1/responses", "openai"),
        ("POST", "/v1beta/models/g:countTokens", "google"),
        ("POST", "/v1internal:loadCodeAssist", "code-assist"),
        ("GET", "/v1beta/interactions/v1_1", "google"),
        ("POST", "/model/m/count-tokens", "bedrock"),
        ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
         "vertex"),
        ("GET", "/api/tags", "ollama"),
        ("GET", "/groq/whatever", "groq"),
    ],
)  # fmt: skip
def test_what_asks_no_model(method: str, path: str, flavour: str) -> None:
    target = target_of(method, path)
    assert target.flavour == flavour
    assert not target.call
