"""Credentials are found where they are the call's own, and where they look like some."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.record.redact import MARK, Redactor

OWN = "own+secret/0123456789"
BASIC = base64.b64encode(b"user:pass/word-of-mine").decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {OWN}"},
        {"proxy-authorization": f"Bearer {OWN}"},
        {"x-api-key": OWN},
        {"api-key": OWN},
        {"x-goog-api-key": OWN},
        {"cookie": f"a=b; session={OWN}; c=d"},
        {"x-amz-security-token": OWN},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_the_calls_own_credentials(headers: dict[str, str]) -> None:
    body = json.dumps({"text": f"my key is {OWN}."}).encode()
    escaped = body.replace(b"/", b"\\/")
    form = b"key=own%2Bsecret%2F0123456789&x=1"
    clean = Redactor(headers)
    assert clean.clean(body) == b'{"text": "my key is [redacted]."}'
    assert clean.clean(escaped) == b'{"text": "my key is [redacted]."}'
    assert clean.clean(form) == b"key=[redacted]&x=1"


def test_the_password_in_basic_credentials() -> None:
    clean = Redactor({"authorization": f"Basic {BASIC}"})
    assert clean.clean(f"{BASIC} pass/word-of-mine".encode()) == MARK + b" " + MARK


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt_uv-AA",
        "sk-proj-AbCdEfGhIjKlMnOpQrSt",
        "sk-or-v1-0123456789abcdef0123",
        "gsk_0123456789abcdefABCDEF",
        "xai-0123456789abcdefABCDEF",
        "hf_0123456789abcdefABCDEF",
        "AIzaSyA-0123456789abcdefghijklmnopqrstuv",
        "ya29.a0AbCdEfGhIjKlMnOp",
        "AKIAIOSFODNN7EXAMPLE0",
        "ghp_0123456789abcdefABCDEF",
        "github_pat_0123456789abcdefABCDEF",
        "xoxb-0123456789-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_credential(secret: str) -> None:
    assert Redactor({}).clean(f"before {secret} after".encode()) == b"before [redacted] after"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"api_key": "0123456789"}', b'{"api_key": "[redacted]"}'),
        (b"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", b"AWS_SECRET_ACCESS_KEY=[redacted]"),
        (b'{\\"password\\": \\"correct-horse\\"}', b'{\\"password\\": \\"[redacted]\\"}'),
        (b"Authorization: Bearer abcdefgh1234", b"Authorization: Bearer [redacted]"),
        (b"https://me:hunter2hunter2@host/x", b"https://[redacted]@host/x"),
        (b"client_secret=abcdefghij&a=b", b"client_secret=[redacted]&a=b"),
    ],
)
def test_what_is_named_as_one(before: bytes, after: bytes) -> None:
    assert Redactor({}).clean(before) == after


@pytest.mark.parametrize(
    "text",
    [
        b'{"max_tokens": 1024, "model": "claude-opus-5-5", "stream": true}',
        b'{"usage":{"input_tokens":12,"cache_read_input_tokens":3456789012}}',
        b"the password is: short",
        b"event: message_start\ndata: {}\n\n",
        b'{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","tool_use_id":"toolu_01A09q90qw90lq917835lq9"}',
    ],
)
def test_what_is_none_stays(text: bytes) -> None:
    assert Redactor({"x-api-key": "short"}).clean(text) == text


@given(st.integers(0, 40_000), st.sampled_from([b",", b"\n", b" ", b"x"]))
def test_it_is_found_wherever_it_stands(at: int, filling: bytes) -> None:
    body = filling * at + b' "api_key": "0123456789abcdef" ' + filling * 40_000
    assert b"0123456789abcdef" not in Redactor({}).clean(body)


@given(st.binary(), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=8))
def test_an_own_credential_is_never_left(noise: bytes, secret: str) -> None:
    own = secret.encode()
    assert own not in Redactor({"x-api-key": secret}).clean(noise + own + noise) or own in MARK
