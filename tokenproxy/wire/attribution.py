"""Who calls, from a request's headers, whatever client sent them and to whichever API."""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.wire import claude_code
from tokenproxy.wire.usage import Attribution


def read_attribution(headers: Mapping[str, str]) -> Attribution:
    """Who made the call.

    Args:
        headers: the request's, names lower-cased.
    """
    return claude_code.read_attribution(headers)
