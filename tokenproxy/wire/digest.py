"""A conversation's fingerprint: it tells a retry from a new request, and keeps no content."""

from __future__ import annotations

import hashlib

import msgspec

_DIGEST_BYTES = 16


def prompt_digest(conversation: bytes | msgspec.Raw) -> str | None:
    """Hex digest of a conversation as sent, byte for byte; None if there is none.

    A retry repeats these bytes, and so does a request that falls back to another model.
    """
    if not conversation:
        return None
    return hashlib.blake2b(conversation, digest_size=_DIGEST_BYTES).hexdigest()
