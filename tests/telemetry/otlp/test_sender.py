"""Requests to a collector that answers well, badly, or not at all."""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import socket
import ssl
import threading
import time
import zlib
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.listening import listening
from tests.telemetry.otlp.collector import DROP, HANG, OK, Collector, Trickle, answer
from tokenproxy.simulator.tls import throwaway
from tokenproxy.telemetry.delivery import Delivery, sentences
from tokenproxy.telemetry.otlp import sender as module
from tokenproxy.telemetry.otlp.connection import LONGEST_ANSWER
from tokenproxy.telemetry.otlp.sender import Sender
from tokenproxy.telemetry.otlp.settings import settings

BODY = b"a request" * 100


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of hundredths of a second."""
    monkeypatch.setattr(module, "WAIT_S", 0.01)


def opened(collector: Collector, scheme: str = "http", user: str = "", **more: str) -> Sender:
    url = f"{scheme}://{user}127.0.0.1:{collector.port}"
    env = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in more.items()}
    return Sender(
        settings({"OTEL_EXPORTER_OTLP_ENDPOINT": url, **env}, "traces"), Delivery("spans", url)
    )


def test_requests_follow_one_another_on_one_connection() -> None:
    with Collector() as collector:
        sender = opened(collector, HEADERS="X-Team=blue%20sky,api-key=a b")
        assert sender.send(BODY)
        assert sender.send(BODY)
        sender.shutdown()
    assert [taken.connection for taken in collector.taken] == [1, 1]
    (request, _) = collector.taken
    assert request.line == "POST /v1/traces HTTP/1.1"
    assert request.body == BODY
    said = request.headers
    assert said["host"] == f"127.0.0.1:{collector.port}"
    assert said["content-type"] == "application/x-protobuf"
    assert said["user-agent"].startswith("tokenproxy/")
    assert (said["x-team"], said["api-key"]) == ("blue sky", "a b")
    assert not said.keys() & {"content-encoding", "accept-encoding", "authorization"}


def test_a_user_in_the_endpoint_logs_in() -> None:
    with Collector() as collector:
        assert opened(collector, user="me:s%40me@").send(BODY)
    assert collector.taken[0].headers["authorization"] == "Basic bWU6c0BtZQ=="


@pytest.mark.parametrize(
    ("compression", "unpack"), [("gzip", gzip.decompress), ("DEFLATE", zlib.decompress)]
)
def test_a_body_is_compressed(compression: str, unpack: object) -> None:
    with Collector() as collector:
        assert opened(collector, COMPRESSION=compression).send(BODY)
    assert collector.taken[0].headers["content-encoding"] == compression.lower()
    assert callable(unpack)
    assert unpack(collector.taken[0].body) == BODY


@pytest.mark.parametrize("status", ["429 Too Many", "502 Bad", "503 Away", "504 Late"])
def test_what_may_be_sent_again_is(status: str) -> None:
    with Collector([answer(status), answer(status), OK]) as collector:
        sender = opened(collector)
        assert sender.send(BODY)
    assert len(collector.taken) == 3
    assert sender._delivery.delivered == 1
    assert sender._delivery.lost is None


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "500 Oops", "307 Elsewhere", "404 Not Found"]
)
def test_what_may_not_be_is_not(status: str) -> None:
    with Collector([answer(status), OK]) as collector:
        sender = opened(collector)
        assert not sender.send(BODY)
        assert len(collector.taken) == 1
        assert sender._delivery.refusal == status
        assert sender.send(BODY)
    assert sentences([sender._delivery])[0].endswith(
        f"answered {status}; some spans of this run were not delivered"
    )


def test_a_redirect_is_not_followed_and_says_where_it_led() -> None:
    """The user's headers, a key among them, are for the collector that the user named."""
    with Collector([answer("307 Elsewhere", "location: http://me:pw@h/v1/traces?k=v")]) as first:
        sender = opened(first)
        assert not sender.send(BODY)
    assert sender._delivery.refusal == (
        "307 Elsewhere to http://h/v1/traces, which is not followed"
    )


@pytest.mark.parametrize(
    ("script", "deed"),
    [
        (HANG, "gave no answer within 200 ms"),
        (DROP, "gave no answer (it closed the connection)"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "gave no answer (what it said is no HTTP)"),
    ],
)
def test_what_was_sent_and_not_answered_is_in_doubt(script: bytes, deed: str) -> None:
    with Collector([script]) as collector:
        sender = opened(collector, TIMEOUT="200")
        assert not sender.send(BODY)
    (sentence,) = sentences([sender._delivery])
    assert sentence == (
        f"telemetry: the collector at http://127.0.0.1:{collector.port} {deed};"
        " whether spans of this run arrived is not known"
    )


def test_what_is_being_sent_when_time_is_up_is_in_doubt_too() -> None:
    with Collector([HANG]) as collector:
        sender = opened(collector, TIMEOUT="2000")
        thread = threading.Thread(target=sender.send, args=(BODY,))
        thread.start()
        while not collector.taken:
            time.sleep(0.01)
        sender._delivery.late = True
        (sentence,) = sentences([sender._delivery])
        assert sentence.endswith("; whether spans of this run arrived is not known")
    thread.join(10)
    assert not thread.is_alive()


def test_an_answer_after_a_doubt_settles_it() -> None:
    with Collector([HANG, answer("401 Unauthorized")]) as collector:
        sender = opened(collector, TIMEOUT="200")
        assert not sender.send(BODY)
        assert not sender.send(BODY)
    told = sender._delivery
    assert (told.lost, told.in_doubt) == ("some spans", "spans")
    with Collector([DROP, OK]) as collector:
        sender = opened(collector)
        assert sender.send(BODY)
    assert sentences([sender._delivery]) == ()


def test_what_a_collector_says_is_fit_for_a_terminal() -> None:
    with Collector([answer("400 \x1b[31mno\x07 " + "x" * 1000)]) as collector:
        sender = opened(collector)
        assert not sender.send(BODY)
    assert sender._delivery.refusal == "400 [31mno " + "x" * 189


def test_six_tries_are_made_and_the_last_answer_is_said() -> None:
    with Collector([answer("503 Service Unavailable")]) as collector:
        sender = opened(collector)
        assert not sender.send(BODY)
    assert len(collector.taken) == 6
    assert sender._delivery.verdict.endswith("answered 503 Service Unavailable")


@pytest.mark.parametrize("said", ["0.2", "in an hour"])
def test_the_collector_says_when_to_come_again(said: str) -> None:
    hour = formatdate(time.time() + 3600, usegmt=True)
    when = hour if said == "in an hour" else said
    with Collector([answer("503 Away", f"retry-after: {when}"), OK]) as collector:
        began = time.monotonic()
        delivered = opened(collector).send(BODY)
        took = time.monotonic() - began
    # An hour is beyond the time-out: then there is no use in waiting.
    assert delivered is (said == "0.2")
    assert (took >= 0.2) is delivered


@pytest.mark.parametrize("said", ["soon", "nan", "inf", "-1", "Thu, 99 Foo", "9" * 400])
def test_what_is_no_time_to_come_again_is_passed_over(said: str) -> None:
    with Collector([answer("503 Away", f"retry-after: {said}"), OK]) as collector:
        assert opened(collector).send(BODY)


@pytest.mark.parametrize("close", [DROP, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"])
def test_a_connection_that_was_closed_is_opened_again(close: bytes) -> None:
    with Collector([OK, close, OK]) as collector:
        sender = opened(collector)
        assert [sender.send(BODY) for _ in range(3)] == [True] * 3
    assert collector.connections == 2


def test_a_collector_that_comes_back_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    sender = Sender(
        settings({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, "traces"), Delivery("spans", url)
    )
    assert not sender.send(BODY)
    assert sender._delivery.verdict == f"the collector at {url} did not answer (Connection refused)"


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"connection: close\r\n\r\n",
        b"\0" * 100_000,
    ],
    ids=["ssh", "status", "headers", "zeros"],
)
def test_garbage_is_no_answer(garbage: bytes) -> None:
    with Collector([garbage]) as collector:
        sender = opened(collector, TIMEOUT="300")
        assert not sender.send(BODY)
        sender.shutdown()
    assert (sender._delivery.under_way, sender._delivery.failed) == (0, 1)


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 10\r\nconnection: close\r\n\r\nabc",
        b"content-length: 10\r\n\r\nabc",
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
    ],
    ids=["short", "never", "chunks"],
)
def test_what_was_taken_is_not_sent_again_for_a_broken_answer(rest: bytes) -> None:
    with Collector([b"HTTP/1.1 200 OK\r\n" + rest, OK]) as collector:
        sender = opened(collector, TIMEOUT="200")
        assert sender.send(BODY)
        assert len(collector.taken) == 1
        assert sender.send(BODY)
    assert collector.connections == 2


def test_silence_lasts_no_longer_than_the_time_out() -> None:
    with Collector([HANG]) as collector:
        sender = opened(collector, TIMEOUT="200")
        began = time.monotonic()
        assert not sender.send(BODY)
        assert 0.2 <= time.monotonic() - began < 5  # ten seconds is what is not asked for
        assert not sender.send(BODY, 0.05)
        assert sender._delivery.failed == 2


STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "again", "taken"),
    [
        (b"HTTP/1.", b"1", False),
        (STATUS + b"x: ", b"y", False),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (CHUNKED, b"0", True),
        (CHUNKED + b"0\r\n", b"x: y\r\n", True),
        (STATUS + b"content-length: 60000\r\n\r\n", b"x", True),
    ],
    ids=["status", "headers", "continue", "size", "trailers", "body"],
)
def test_an_answer_without_end_is_over_with_the_time_out(
    said: bytes, again: bytes, taken: bool
) -> None:
    with Trickle([said, again]) as collector:
        sender = opened(collector, TIMEOUT="200")
        thread = threading.Thread(target=sender.send, args=(BODY,), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert sender._delivery.delivered == int(taken)


def test_a_long_answer_is_not_read_to_its_end() -> None:
    long = answer("200 OK", body=b"x" * (LONGEST_ANSWER * 20))
    with Collector([long, OK]) as collector:
        sender = opened(collector)
        assert sender.send(BODY)
        assert sender.send(BODY)
    assert collector.connections == 2


def test_a_part_that_is_not_taken_is_said_and_not_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    partial = b"\x0a\x0f\x08\x07\x12\x0bno more ids"
    with (
        caplog.at_level(logging.WARNING, logger="tokenproxy.telemetry"),
        Collector([answer("200 OK", body=partial)]) as collector,
    ):
        sender = opened(collector, user="me:secret@")
        assert sender.send(BODY)
    assert len(collector.taken) == 1
    assert sentences([sender._delivery]) == (
        (
            f"telemetry: the collector at http://127.0.0.1:{collector.port} did not take 7 of the"
            " spans of this run: no more ids"
        ),
    )
    assert caplog.messages == [
        (
            f"the collector at http://127.0.0.1:{collector.port} did not take 7 of the spans: "
            "no more ids"
        )
    ]


def test_a_request_beyond_all_measure_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    with Collector() as collector:
        sender = opened(collector)
        assert not sender.send(b"x" * 11)
        assert sender.send(b"x" * 10)
    assert len(collector.taken) == 1


def test_what_cannot_be_put_into_http_fails_and_raises_nothing() -> None:
    with Collector() as collector:
        url = f"http://127.0.0.1:{collector.port}"
        found = settings({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, "traces")
        odd = msgspec.structs.replace(found, headers={"a": "b\nc:d"})
        assert not Sender(odd, Delivery("spans", url)).send(BODY)
    assert not [taken for taken in collector.taken if taken.headers.get("c")]


def test_the_end_interrupts_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 60.0)
    with Collector([answer("503 Away")]) as collector:
        sender = opened(collector, TIMEOUT="120000")
        thread = threading.Thread(target=sender.send, args=(BODY,))
        thread.start()
        while not collector.taken:
            time.sleep(0.01)
        sender.shutdown()
        thread.join(5)
        assert not thread.is_alive()


# -- TLS ------------------------------------------------------------------------------


def test_a_collector_behind_tls_is_trusted_by_its_authority(tmp_path: Path) -> None:
    certificates = throwaway(tmp_path)
    with Collector(trust=certificates.context()) as collector:
        known = opened(collector, "https", CERTIFICATE=str(certificates.ca))
        assert known.send(BODY)
        assert known.send(BODY)
        assert {taken.connection for taken in collector.taken} == {1}
        unknown = opened(collector, "https")
        assert not unknown.send(BODY)
        assert unknown._delivery.verdict.endswith(
            "did not answer (unable to get local issuer certificate)"
        )


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A client's certificate and its key, in files of their own."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a client")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    certificate, secret = directory / "client.pem", directory / "client.key"
    certificate.write_bytes(made.public_bytes(pem))
    secret.write_bytes(key.private_bytes(pem, *clear))
    return certificate, secret


def test_a_collector_that_wants_to_know_its_clients_is_shown_a_certificate(tmp_path: Path) -> None:
    certificates, (certificate, key) = throwaway(tmp_path), self_signed(tmp_path)
    trust = certificates.context()
    trust.verify_mode = ssl.CERT_REQUIRED
    trust.load_verify_locations(certificate)
    with Collector(trust=trust) as collector:
        ours = {"CERTIFICATE": str(certificates.ca), "TIMEOUT": "500"}
        assert not opened(collector, "https", **ours).send(BODY)
        own = {"CLIENT_CERTIFICATE": str(certificate), "CLIENT_KEY": str(key)}
        assert opened(collector, "https", **ours, **own).send(BODY)
    assert len(collector.taken) == 1


@pytest.mark.parametrize("name", ["CERTIFICATE", "CLIENT_CERTIFICATE"])
def test_a_file_that_is_none_is_said_at_once(name: str, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with Collector() as collector:
        for path in (tmp_path / "missing.pem", garbage):
            with pytest.raises(OSError, match=rf"^{path}: \S"):
                opened(collector, "https", **{name: str(path)})


def test_a_collector_that_reads_slowly_is_not_waited_for_beyond_the_time_out(
    tmp_path: Path,
) -> None:
    certificates = throwaway(tmp_path)
    context = certificates.context()
    with listening() as listener:

        def read() -> None:
            with suppress(OSError):
                connection = context.wrap_socket(listener.accept()[0], server_side=True)
                while connection.recv(16 * 1024):
                    time.sleep(0.05)

        threading.Thread(target=read, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        env = {"ENDPOINT": url, "CERTIFICATE": str(certificates.ca), "TIMEOUT": "300"}
        found = settings({f"OTEL_EXPORTER_OTLP_{name}": env[name] for name in env}, "traces")
        sender = Sender(found, Delivery("spans", url))
        thread = threading.Thread(target=sender.send, args=(b"x" * 2**24,), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert sender._delivery.failed == 1
