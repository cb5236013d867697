"""A call's start, completed by what its body says."""

from __future__ import annotations

import pytest

from tests.record.make import start
from tokenproxy.record.call import identified
from tokenproxy.wire.usage import Attribution, RequestFacts


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        (Attribution(), RequestFacts(), Attribution()),
        (
            Attribution(),
            RequestFacts(session_id="s", turn_id="t", request_class="turn"),
            Attribution(session_id="s", turn_id="t", request_class="turn"),
        ),
        (
            Attribution(session_id="s", turn_id="t", request_class="main"),
            RequestFacts(session_id="other", turn_id="other"),
            Attribution(session_id="s", turn_id="t", request_class="main"),
        ),
        # The headers of a WebSocket speak of its first call.
        (
            Attribution(session_id="s", request_class="prewarm"),
            RequestFacts(turn_id="t", request_class="turn"),
            Attribution(session_id="s", turn_id="t", request_class="turn"),
        ),
    ],
)
def test_a_body_tells_what_no_header_did(
    headers: Attribution, body: RequestFacts, told: Attribution
) -> None:
    assert identified(start(who=headers), body).attribution == told
