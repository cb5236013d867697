"""boto3's Bedrock runtime behind tokenproxy: four operations, two ways to prove who calls."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench
from tests.real import reported
from tokenproxy.simulator.server import Simulator

HOSTS = {"bedrock-runtime.us-east-1.amazonaws.com": "bedrock"}
REGION = {"AWS_DEFAULT_REGION": "us-east-1"}
SIGNED = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}
BEARER = {"AWS_BEARER_TOKEN_BEDROCK": "test"}
ALL = ("invoke", "invoke_stream", "converse", "converse_stream")
MODEL = "anthropic.claude-opus-5-5-v1:0"


@pytest.mark.parametrize("keys", [SIGNED, BEARER], ids=["signed", "bearer"])
@pytest.mark.parametrize("delivery", ["plain", "stream+random:2"])
def test_forward(bench: Bench, keys: dict[str, str], delivery: str) -> None:
    with Simulator(delivery) as sim:
        said = reported.program(
            bench, sim, "forward", HOSTS, ["boto3", "boto3_sdk", *ALL], **REGION, **keys
        )
        assert len(sim.calls) == len(ALL)
    rows = bench.rows()
    reported.equal(rows, said)
    reported.same(rows, provider="aws.bedrock", requested_model=MODEL, success=True)


@pytest.mark.parametrize("keys", [SIGNED, BEARER], ids=["signed", "bearer"])
def test_reverse_leaves_it_alone(bench: Bench, keys: dict[str, str]) -> None:
    """It signs for the host it is told of and sends bearer keys over https only.

    So it is not told of us; its calls go where they would go without us, here nowhere.
    """
    with Simulator("plain") as sim:
        done = bench.tokenproxy(
            "run", "--mode", "reverse", "--", "sh", "-c",
            'echo "${AWS_ENDPOINT_URL_BEDROCK_RUNTIME-unset}"',
            env={**REGION, **keys},
        )  # fmt: skip
        assert done.stdout == b"unset\n"
        assert sim.exchanges == []


def test_reverse_to_a_gateway_that_checks_no_signature(bench: Bench) -> None:
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, "reverse", {}, ["boto3", "boto3_sdk", *ALL], **REGION, **SIGNED,
            AWS_ENDPOINT_URL_BEDROCK_RUNTIME=f"{sim.url}/bedrock",
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), requested_model=MODEL, success=True)


@pytest.mark.parametrize("keys", [SIGNED, BEARER], ids=["signed", "bearer"])
def test_auto_opens_a_gateway_that_is_spoken_to_over_https(
    bench: Bench, keys: dict[str, str]
) -> None:
    """It would be refused or wrongly signed at any other address."""
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, "auto", {"gateway.example": "bedrock"}, ["boto3", "boto3_sdk", *ALL],
            **REGION, **keys, AWS_ENDPOINT_URL_BEDROCK_RUNTIME="https://gateway.example",
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), requested_model=MODEL, success=True)
