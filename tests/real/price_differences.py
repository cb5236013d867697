"""Where our prices and LiteLLM's differ, and why. Data only.

A line stands for every difference that its patterns fit; each difference is explained
by the first that fits, and each line must fit one.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """Differences with one reason."""

    providers: str
    """Pattern, ``fnmatch`` style; likewise the others."""
    models: str
    prices: str
    reason: str


UNKNOWN_TIER = "no price of ours for the tier, so that such a call's cost is unknown"
ROUNDED = "the same price, rounded"
LIBRARY_LACKS = (
    "genai-prices has no such price for the model and it is billed as what it is part of"
)
OTHER_GENERATION = "an alias, or a model that is no longer sold, read as another generation"
REGION = "one price in genai-prices for regions that AWS prices apart"
GLOBAL = "AWS adds 10 % outside its global endpoint; LiteLLM has the global price for a bare name"
LONG_BEDROCK = "genai-prices does not have Bedrock's price of long prompts for the model"
AZURE = "Azure's own price; genai-prices takes the vendor's"
HOST = "the host changed its price, and the two tables were read on different days"
TEXT = "LiteLLM has the price of text"
NO_WRITES = "the provider charges no cache writes and states none"

KNOWN = (
    Known("*", "*", "*_priority", UNKNOWN_TIER),
    Known("aws.bedrock", "*", "*_flex", UNKNOWN_TIER),
    Known("azure.ai.openai", "*", "*_flex", UNKNOWN_TIER),
    Known("x_ai", "grok-4.7", "*_batches", UNKNOWN_TIER),
    Known("deepseek", "*", "cache_creation_*", NO_WRITES),
    Known("z_ai", "*", "cache_creation_*", NO_WRITES),
    Known("deepseek", "deepseek-v3.2", "*", "no name of DeepSeek's; a host's price"),
    # OpenAI
    Known("openai", "chatgpt-image-latest", "cache_read_*", ROUNDED),
    Known("openai", "ft:gpt-4o*", "*", LIBRARY_LACKS),
    Known("openai", "gpt-3.5-turbo-1106", "*_batches", "half in genai-prices, as batches are"),
    Known("openai", "gpt-4o*-transcribe*", "input_cost_per_audio_token", TEXT),
    Known("*", "gpt-4o-mini-tts", "output_cost_per_token", TEXT),
    Known("openai", "gpt-4o-search-preview*", "cache_read_*", LIBRARY_LACKS),
    Known("openai", "gpt-5.5-pro*", "*_above_272k_tokens_batches", LIBRARY_LACKS),
    Known("openai", "gpt-5.6-cyber", "*_above_272k_tokens", LIBRARY_LACKS),
    # Azure
    Known("azure.ai.openai", "gpt-5.4*", "*_batches", ROUNDED),
    Known("azure.ai.*", "gpt-5.?-pro*", "cache_read_*", LIBRARY_LACKS),
    Known("azure.ai.openai", "gpt-4o-realtime-preview-2024-10-01", "*", OTHER_GENERATION),
    Known("azure.ai.openai", "ada", "*", AZURE),
    Known("azure.ai.openai", "gpt-4-turbo*", "*", AZURE),
    Known("azure.ai.openai", "gpt-audio*", "*_audio_token", AZURE),
    Known("azure.ai.openai", "text-embedding-*", "*", AZURE),
    Known("azure.ai.inference", "deepseek-*", "*", AZURE),
    Known("azure.ai.inference", "DeepSeek-*", "*", AZURE),
    Known("azure.ai.inference", "gpt-oss-120b", "*", AZURE),
    Known("azure.ai.inference", "grok-3-mini", "*", AZURE),
    # Google
    Known("google", "gemini-2.0-flash-exp-image-generation", "*", OTHER_GENERATION),
    Known("google", "gemini-3.5-flash", "cache_read_*_flex", ROUNDED),
    Known("*", "gemini-2.5-flash-image", "*", LIBRARY_LACKS),
    Known("*", "gemini-2.5-pro-preview-tts", "*", LIBRARY_LACKS),
    Known("google", "gemini-3.8-flash*-tts", "cache_read_*", LIBRARY_LACKS),
    Known("gcp.vertex_ai", "claude-3-5-haiku*", "*", OTHER_GENERATION),
    Known("gcp.vertex_ai", "claude-opus-5-5*", "*_batches", "LiteLLM has half of Opus 5's price"),
    Known("gcp.vertex_ai", "claude-sonnet-4-*", "cache_creation_*_batches", ROUNDED),
    Known("gcp.vertex_ai", "gemini-2.0-flash", "*", "dearer on Vertex; genai-prices has one price"),
    Known("gcp.vertex_ai", "gemini-2.5-flash-lite", "*_audio_token_batches", TEXT),
    Known("gcp.vertex_ai", "gemini-*", "cache_creation_*_above_200k_tokens",
          "writes to Google's cache are input; LiteLLM has the price of reading"),
    Known("gcp.vertex_ai", "gemini-3.5-flash-lite", "cache_read_*", ROUNDED),
    Known("gcp.vertex_ai", "gemini-3.8-flash-cyber", "*", "read as the model without -cyber"),
    Known("gcp.vertex_ai", "gemini-*image*", "*", LIBRARY_LACKS),
    Known("gcp.vertex_ai", "gemini-nano-banana-2.1", "cache_read_*", LIBRARY_LACKS),
    # Amazon
    Known("aws.bedrock", "*claude-sonnet-4-*", "*_above_200k_tokens", LONG_BEDROCK),
    Known("aws.bedrock", "*anthropic.claude-3-opus-*", "cache_*", LIBRARY_LACKS),
    Known("aws.bedrock", "anthropic.claude-*", "*", GLOBAL),
    Known("aws.bedrock", "openai.gpt-6-*", "*", GLOBAL),
    Known("aws.bedrock", "apac.amazon.nova-*", "*", REGION),
    Known("aws.bedrock", "eu.amazon.nova-*", "*", REGION),
    Known("aws.bedrock", "eu.meta.llama3-2-*", "*", REGION),
    Known("aws.bedrock", "jp.amazon.nova-2-lite-v1:0", "*", REGION),
    Known("aws.bedrock", "us-gov.*", "*", REGION),
    Known("aws.bedrock", "google.gemma-3-*", "*_batches", ROUNDED),
    Known("aws.bedrock", "mistral.ministral-3-8b-instruct", "*_batches", ROUNDED),
    Known("aws.bedrock", "nvidia.nemotron-nano-9b-v2", "*_batches", ROUNDED),
    Known("aws.bedrock", "qwen.qwen3-vl-235b-a22b", "*_batches", ROUNDED),
    # Others
    *(
        Known("fireworks_ai", f"accounts/fireworks/models/{model}", "*", HOST)
        for model in (
            "deepseek-v4-flash-0731", "deepseek-v4-pro", "gemma-3-27b-it", "glm-4p7",
            "llama-v3p1-8b-instruct", "minimax-m2p1",
        )
    ),
    Known("together_ai", "*Mixtral-8x7B*", "*", HOST),
    Known("together_ai", "Qwen/Qwen3.[78]-*", "*", HOST),
    Known("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "*", HOST),
    Known("groq", "openai/gpt-oss-safeguard-20b", "cache_read_*", ROUNDED),
    Known("mistral_ai", "mistral-large-4*", "*", "half price when genai-prices read it"),
    *(
        Known("mistral_ai", model, "cache_read_*", LIBRARY_LACKS)
        for model in (
            "codestral-latest", "devstral-small-latest", "mistral-tiny", "pixtral-large-latest",
        )
    ),
    Known("mistral_ai", "magistral-*-latest", "*", OTHER_GENERATION),
    Known("mistral_ai", "mistral-large-latest", "*", OTHER_GENERATION),
    Known("mistral_ai", "mistral-medium", "*", OTHER_GENERATION),
    Known("mistral_ai", "open-mistral-nemo", "*", OTHER_GENERATION),
    Known("x_ai", "grok-code-fast*", "*", "served by grok-build-0.1, which the answer names"),
)  # fmt: skip
