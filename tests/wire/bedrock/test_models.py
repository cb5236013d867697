from __future__ import annotations

import pytest

from tokenproxy.wire.bedrock.models import model_of, served

ARN = "arn:aws:bedrock:us-east-1:123456789012"


@pytest.mark.parametrize(
    ("path_id", "model"),
    [
        ("anthropic.claude-opus-5-5", "anthropic.claude-opus-5-5"),
        ("us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
        (f"{ARN}:inference-profile/us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
        ),
        (f"{ARN}:application-inference-profile/a1b2c3", None),
        (f"{ARN}:provisioned-model/a1b2c3", None),
        (f"{ARN}:default-prompt-router/anthropic.claude:1", None),
        (f"{ARN}:foundation-model", None),
        ("arn:", None),
        ("", None),
        (None, None),
        ("a\nb", None),
    ],
)
def test_model_of(path_id: str | None, model: str | None) -> None:
    assert model_of(path_id) == model


@pytest.mark.parametrize(
    ("path_id", "stated", "model"),
    [
        ("us.anthropic.claude-opus-5-5", "claude-opus-5-5", "us.anthropic.claude-opus-5-5"),
        ("us.anthropic.claude-opus-5-5", "claude-opus-4-8", "claude-opus-4-8"),
        ("us.anthropic.claude-opus-5-5", None, "us.anthropic.claude-opus-5-5"),
        (f"{ARN}:application-inference-profile/a", "claude-opus-5-5", "claude-opus-5-5"),
        (f"{ARN}:application-inference-profile/a", None, None),
        (None, "claude-opus-5-5", "claude-opus-5-5"),
    ],
)
def test_served(path_id: str | None, stated: str | None, model: str | None) -> None:
    assert served(path_id, stated) == model
