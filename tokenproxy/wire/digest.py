"""A conversation's fingerprint: it tells a retry from a new request, and keeps no content.

It is BLAKE2b's. Of a long conversation only both ends go into it, with its length and the
CRC-32 of all, which takes a fifth of the time. Two different requests of a run would have to
be equally long, begin and end with the same 64 KiB, and have the same CRC by chance.
"""

from __future__ import annotations

import hashlib
import zlib

import msgspec

_DIGEST_BYTES = 16
_END_BYTES = 64 * 1024


def prompt_digest(conversation: bytes | msgspec.Raw) -> str | None:
    """Hex digest of a conversation as sent, byte for byte; None if there is none.

    A retry repeats these bytes, and so does a request that falls back to another model.
    """
    if not conversation:
        return None
    size = len(conversation)
    if size <= 2 * _END_BYTES:
        return hashlib.blake2b(conversation, digest_size=_DIGEST_BYTES).hexdigest()
    told = memoryview(conversation)
    digest = hashlib.blake2b(told[:_END_BYTES], digest_size=_DIGEST_BYTES)
    digest.update(b"%d %d" % (size, zlib.crc32(told)))
    digest.update(told[-_END_BYTES:])
    return digest.hexdigest()
