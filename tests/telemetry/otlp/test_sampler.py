"""Samplers, held to the SDK's."""

from __future__ import annotations

import pytest
from hypothesis import given
from opentelemetry.sdk.trace.sampling import Decision, _get_from_env_or_default

from tests.telemetry.otlp.strategies import CONTEXTS, ids
from tokenproxy.telemetry.otlp.sampler import sampler
from tokenproxy.telemetry.sdk.spans import within
from tokenproxy.telemetry.span import SpanContext

NAME, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
PARENTS = ("", "parentbased_")
RATIOS = ("0", "0.25", "0.5", "1", "1e-9")
ENVIRONMENTS = [
    {},
    {NAME: "ALWAYS_OFF"},
    *({NAME: f"{parent}always_{word}"} for parent in PARENTS for word in ("on", "off")),
    *({NAME: f"{parent}traceidratio", ARGUMENT: ratio} for parent in PARENTS for ratio in RATIOS),
]


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=str)
def test_it_keeps_what_the_sdk_keeps(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (NAME, ARGUMENT):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    theirs, ours = _get_from_env_or_default(), sampler(env)

    @given(trace_id=ids(32), parent=CONTEXTS)
    def same(trace_id: str, parent: SpanContext) -> None:
        assert ours is not None
        for above in (None, parent):
            result = theirs.should_sample(within(above), int(trace_id, 16), "name")
            kept = result.decision is Decision.RECORD_AND_SAMPLE
            assert ours.keeps(trace_id, above) is kept

    same()


@pytest.mark.parametrize(
    "env",
    [
        {NAME: "jaeger_remote"},
        {NAME: "parentbased_"},
        {NAME: "parentbased_parentbased_always_on"},
        {NAME: " always_on"},
        {NAME: "traceidratio", ARGUMENT: "half"},
        {NAME: "traceidratio", ARGUMENT: "1.5"},
        {NAME: "traceidratio", ARGUMENT: "nan"},
        {NAME: "traceidratio"},
    ],
)
def test_what_is_none_of_these_is_left_to_the_sdk(env: dict[str, str]) -> None:
    assert sampler(env) is None
