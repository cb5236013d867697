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
        (b"client_secret%3Dabcdefghij&a=b", b"client_secret%3D[redacted]&a=b"),
        (b'{"password": "a,b c;defghij"}', b'{"password": "[redacted]"}'),
        (b'{"password": "abc\\/def\\"ghij", "a": 1}', b'{"password": "[redacted]", "a": 1}'),
        (b"curl -H 'Bearer abcdef0123456789'", b"curl -H 'Bearer [redacted]'"),
        (
            b'form-data; name="api_key"\r\nContent-Type: text/plain\r\n\r\n0123456789\r\n--x',
            b'form-data; name="api_key"\r\nContent-Type: text/plain\r\n\r\n[redacted]\r\n--x',
        ),
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
        b'{"a": "your password:"}}]}]},[1234567890]',
        b"the bearer of responsibilities, a risk-averse-and-very-cautious one",
        b"event: message_start\ndata: {}\n\n",
        b'{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","tool_use_id":"toolu_01A09q90qw90lq917835lq9"}',
    ],
)
def test_what_is_none_stays(text: bytes) -> None:
    assert Redactor({"x-api-key": "short"}).clean(text) == text


KEY = "sk-ant-api03-AbCdEfGhIjKlMn"


@pytest.mark.parametrize(
    "before", ["\n", "\t", "\u2028", "x_", "KEY=", " "], ids=["n", "t", "u", "_", "=", "space"]
)
def test_what_stands_before_a_key_in_json_is_no_word(before: str) -> None:
    for text in (json.dumps({"t": before + KEY}), json.dumps(json.dumps([before + KEY]))):
        assert KEY[:8].encode() not in Redactor({}).clean(text.encode())


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_key_whose_letters_are_escaped(depth: int) -> None:
    text = KEY
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    for _ in range(depth):
        text = json.dumps({"t": text})
    body = text.replace(KEY, "\\" * (2 ** (depth - 1) - 1) + escaped).encode()
    clean = Redactor({}).clean(body)
    assert b"[redacted]" in clean
    assert b"006b" not in clean


def test_escapes_of_what_is_no_credential_stay() -> None:
    body = b'{"t":"\\u0073mall \\u00e4 \\u0022","p":"C:\\\\u00"}'
    assert Redactor({}).clean(body) == body


def test_a_key_that_an_error_repeats_half_hidden() -> None:
    said = b"Incorrect API key provided: sk-proj-ab*****************wxyz. You can find"
    clean = b"Incorrect API key provided: [redacted]. You can find"
    assert Redactor({}).clean(said) == clean


@given(st.binary(max_size=5), st.binary(max_size=5), st.sampled_from([*"bBuxX"]))
def test_the_calls_own_in_another_coding(before: bytes, after: bytes, coding: str) -> None:
    own = "a+secret/of?mine~0123"
    whole = before + own.encode() + after
    coded = {
        "b": base64.b64encode(whole),
        "B": base64.urlsafe_b64encode(whole),
        "u": "".join(f"%{byte:02x}" if byte in b"+/?" else chr(byte) for byte in whole).encode(
            "latin-1"
        ),
        "x": whole.hex().encode(),
        "X": whole.hex().upper().encode(),
    }[coding]
    clean = Redactor({"x-api-key": own}).clean(b'{"t":"%s"}' % coded)
    assert b"[redacted]" in clean


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({}, "/v1/x?subscription-key=own%2Bsecret/0123456789&a=b"),
        ({}, f"/v1/x?key={OWN.replace('+', '%2B')}"),
        ({"ocp-apim-subscription-key": OWN}, ""),
        ({"helicone-auth": f"Bearer {OWN}"}, ""),
        ({"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{OWN}"}, ""),
        ({"authorization": f"AWS4-HMAC-SHA256 SignedHeaders=host, Signature={OWN}"}, ""),
    ],
    ids=["query", "key", "azure", "gateway", "subprotocol", "sigv4"],
)
def test_where_else_a_call_has_its_credentials(headers: dict[str, str], path: str) -> None:
    clean = Redactor(headers, path).clean
    assert clean(f"realtime, Signature, you sent {OWN}".encode()) == (
        b"realtime, Signature, you sent [redacted]"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"x-claude-code-session-id": "0190aaaa-bbbb"},
        {":authority": "api.anthropic.com"},
        {"sec-websocket-protocol": "realtime"},
        {"anthropic-beta": "token-efficient-tools"},
    ],
)
def test_what_is_no_credential_of_a_call(headers: dict[str, str]) -> None:
    (value,) = headers.values()
    assert Redactor(headers).clean(value.encode()) == value.encode()


@given(st.integers(0, 40_000), st.sampled_from([b",", b"\n", b" ", b"x"]))
def test_it_is_found_wherever_it_stands(at: int, filling: bytes) -> None:
    body = filling * at + b' "api_key": "0123456789abcdef" ' + filling * 40_000
    assert b"0123456789abcdef" not in Redactor({}).clean(body)


@given(st.binary(), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=8))
def test_an_own_credential_is_never_left(noise: bytes, secret: str) -> None:
    own = secret.encode()
    assert own not in Redactor({"x-api-key": secret}).clean(noise + own + noise) or own in MARK
