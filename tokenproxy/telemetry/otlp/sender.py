"""Sends OTLP over HTTP, with the retries that the specification asks for.

Source: opentelemetry-proto, docs/specification.md, "OTLP/HTTP": what of a failure may be
sent again, ``Retry-After``, and answers that tell of a part that was not taken. How often
and how long is the Python SDK's way: six tries within the time-out, the first again after
a second, then twice as long each time, give or take a fifth.
"""

from __future__ import annotations

import logging
import math
import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from typing import Final

from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.otlp.connection import Answer, Connection
from tokenproxy.telemetry.otlp.request import rejected
from tokenproxy.telemetry.otlp.settings import Settings
from tokenproxy.telemetry.switch import without_login

logger = logging.getLogger(__name__)

TRIES: Final = 6
WAIT_S: Final = 1.0
"""Before the second try; twice as long before each after it."""
JITTER: Final = 0.2
AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same may be sent again."""
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a request before it is compressed: the SDK's limit. A larger one is dropped."""

LONGEST_WORDS: Final = 200
"""Characters of a collector's own that are told."""

_OK, _REDIRECT, _ERROR = 200, 300, 400
_GZIP: Final = 31
"""zlib's word for a window of 32 kB in gzip's wrapping."""


class Sender:
    """One signal's way to its collector. Used by one thread; :meth:`shutdown` by any.

    Args:
        settings: where to, and how.
        delivery: told of what becomes of it.
        keep: takes what was not delivered, and tells whether it has it; None: that is lost.

    Raises:
        OSError: A certificate or key that is named cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        delivery: Delivery,
        keep: Callable[[bytes], bool] | None = None,
    ) -> None:
        named = settings.certificate or settings.client_certificate
        trust = settings.trust() if settings.tls and named else None  # else when it is needed
        self._connection = Connection(settings, trust, delivery.sent)
        self._settings = settings
        self._delivery = delivery
        self._keep = keep
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._sending: bytes | None = None
        """The request whose fate is not known yet, and is still ours to tell."""

    def send(self, body: bytes, timeout_s: float = math.inf) -> bool:
        """Send one request; blocks while that takes. Whether it arrived. Raises nothing."""
        self._delivery.begin()
        with self._lock:
            self._sending = body
        delivered, refusal = False, None
        try:
            delivered, refusal = self._send(body, min(timeout_s, self._settings.timeout_s))
        except Exception as error:  # noqa: BLE001 - a socket, TLS, HTTP: all it means is no
            logger.debug("Failed to export %s: %r", self._delivery.what, error)
        finally:
            self._settle(delivered=delivered, refusal=refusal)
        return delivered

    def leave(self) -> bool:
        """Time is up: keep what is being sent; it may arrive as well. Whether it is not lost."""
        return self._settle(delivered=False)

    def _settle(self, *, delivered: bool, refusal: str | None = None) -> bool:
        """Tell what became of the request, once: who comes second finds nothing to tell."""
        with self._lock:
            body, self._sending = self._sending, None
        if body is None:
            return True
        kept = not delivered and self._keep is not None and self._keep(body)
        self._delivery.end(delivered=delivered, refusal=refusal, kept=kept)
        return kept or delivered

    def shutdown(self) -> None:
        """Wait for no further try, and close."""
        self._over.set()
        self._connection.close()

    def _send(self, body: bytes, timeout_s: float) -> tuple[bool, str | None]:
        """Whether it arrived, and what was answered if not.

        Raises:
            Exception: It cannot be sent, and could not be by another try.
        """
        if len(body) > LARGEST:
            raise ValueError(f"{len(body)} bytes are too many")
        packed = _packed(body, self._settings.compression)
        deadline = time.monotonic() + timeout_s
        for attempt in range(TRIES):
            spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            wait_s = WAIT_S * 2**attempt * spread
            refusal: str | None = None
            try:
                answer = self._post(packed, deadline)
            except OSError as error:
                logger.debug("%s are not exported yet: %r", self._delivery.what, error)
                self._delivery.tried(_reason(error))
            else:
                self._delivery.answered()
                if _OK <= answer.status < _REDIRECT:
                    self._tell_rejected(answer)
                    return True, None
                refusal = _refusal(answer)
                logger.debug("Failed to export %s: %s", self._delivery.what, refusal)
                if answer.status not in AGAIN:
                    return False, refusal
                wait_s = _retry_after(answer.retry_after, wait_s)
            last = attempt + 1 == TRIES or time.monotonic() + wait_s > deadline
            if last or self._over.wait(wait_s):
                break
        logger.debug("Failed to export %s in time", self._delivery.what)
        return False, refusal

    def _post(self, packed: bytes, deadline: float) -> Answer:
        """Once more at once if the connection was an old one, which its other end may have closed.

        Raises:
            OSError: Nobody answered.
        """
        old = not self._connection.fresh
        try:
            return self._connection.post(packed, max(deadline - time.monotonic(), 0.001))
        except OSError as error:
            left_s = deadline - time.monotonic()
            if not old or left_s <= 0:
                raise
            logger.debug("%s: the connection was closed: %r", self._delivery.what, error)
            return self._connection.post(packed, left_s)

    def _tell_rejected(self, answer: Answer) -> None:
        """A collector took the request and not all in it: that is lost, and not sent again."""
        found = rejected(answer.body)
        if found.count or found.reason:
            reason = _words(found.reason)
            self._delivery.reject(found.count, reason)
            logger.warning(
                "the collector at %s did not take %d of the %s: %s",
                self._delivery.address, found.count, self._delivery.what, reason,
            )  # fmt: skip


def _refusal(answer: Answer) -> str:
    """What a collector answered that did not take a request."""
    said = _words(f"{answer.status} {answer.reason}")
    if _REDIRECT <= answer.status < _ERROR and answer.location:
        # To follow it would take the user's headers, a key perhaps, to another host.
        said += f" to {_words(without_login(answer.location))}, which is not followed"
    return said


def _reason(error: OSError) -> str | None:
    """Why there is no answer, in the system's words; None if the time was up."""
    if isinstance(error, TimeoutError):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return _words(error.verify_message)
    return _words(error.strerror or str(error)) or None


def _words(answered: str) -> str:
    """A collector's words, fit for a terminal."""
    return "".join(each for each in answered if each.isprintable())[:LONGEST_WORDS].strip()


def _packed(body: bytes, compression: str) -> bytes:
    match compression:
        case "gzip":
            packer = zlib.compressobj(wbits=_GZIP)
            return packer.compress(body) + packer.flush()
        case "deflate":
            return zlib.compress(body)
        case _:
            return body


def _retry_after(said: str | None, otherwise: float) -> float:
    """Seconds to wait (RFC 9110, 10.2.3: a number of seconds, or a date)."""
    if said is None:
        return otherwise
    try:
        seconds = float(said)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, OverflowError):
            return otherwise
    return max(seconds, 0.0) if math.isfinite(seconds) else otherwise
