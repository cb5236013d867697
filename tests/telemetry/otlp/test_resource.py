"""Who sends, held to what the SDK says of it."""

from __future__ import annotations

import pytest

from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.otlp.resource import sender
from tokenproxy.telemetry.sdk import resource as sdk

OF_THE_SDK = {names.SDK_LANGUAGE, names.SDK_NAME, names.SDK_VERSION}


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SERVICE_NAME": "loop"},
        {"OTEL_SERVICE_NAME": ""},
        {"OTEL_RESOURCE_ATTRIBUTES": "team.id=blue,service.instance.id=mine"},
        {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"},
        {"OTEL_RESOURCE_ATTRIBUTES": " a = b%20c ,d=,=e,f,,g=h=i,a=last"},
        {"OTEL_RESOURCE_ATTRIBUTES": "caf%C3%A9=cr%C3%A8me,x=%FF"},
        {"OTEL_RESOURCE_ATTRIBUTES": "telemetry.sdk.name=mine"},
    ],
    ids=str,
)
def test_the_attributes_are_the_sdks(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    ours, theirs = sender(env, "an id"), dict(sdk.sender("an id").attributes)
    assert ours.keys() == theirs.keys()
    own = OF_THE_SDK if "telemetry.sdk.name" not in str(env) else OF_THE_SDK - {names.SDK_NAME}
    assert {k: v for k, v in ours.items() if k not in own} == {
        k: v for k, v in theirs.items() if k not in own
    }


def test_it_does_not_pass_for_the_sdk() -> None:
    found = sender({}, "an id")
    assert (found[names.SDK_NAME], found[names.SDK_LANGUAGE]) == ("tokenproxy", "python")


def test_half_a_surrogate_pair_spoils_nothing() -> None:
    assert sender({"OTEL_SERVICE_NAME": "a\udcff"}, "an id")[names.SERVICE_NAME] == "a?"
