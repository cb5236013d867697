"""What is kept in mind of attributes changes none: each call is told as if it were the first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry import scene
from tokenproxy.record.call import Call
from tokenproxy.telemetry import call_attributes
from tokenproxy.telemetry.call_attributes import CallAttributes
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv
from tokenproxy.wire.settings import Settings

BASE = scene.calls()
WORDS = st.sampled_from([None, "a", "b"])
START = st.fixed_dictionaries(
    {},
    optional={
        "provider": st.sampled_from(["anthropic", "openai", "azure.ai.inference"]),
        "operation": st.sampled_from(["chat", "responses", "embeddings", "speech"]),
        "kind": st.sampled_from(["inference", "replay", "batch_results"]),
        "server_address": st.sampled_from(["", "a.example"]),
        "server_port": st.sampled_from([0, 443]),
    },
)
WHO = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("session_id", "turn_id", "agent_id", "client", "compaction", "context_compacted",
         "client_request_id"),
        WORDS,
    ),
)  # fmt: skip
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "model": WORDS,
        "stream": st.sampled_from([None, True, False]),
        "max_tokens": st.sampled_from([None, 0, 1, 1024]),
        "temperature": st.sampled_from([None, 0, 1, 1.0, 0.5]),
        "top_p": st.sampled_from([None, 1, 1.0]),
        "top_k": st.sampled_from([None, 1, 40]),
        "stop_sequences": st.sampled_from([(), ("a",), ("a", "b")]),
        "session_id": WORDS,
        "settings": st.sampled_from(
            [Settings(), Settings(seed=1), Settings(service_tier="flex", output_type="json")]
        ),
    },
)
END = st.fixed_dictionaries(
    {},
    optional={
        "outcome": st.sampled_from(["complete", "error", "aborted", "truncated"]),
        "status_code": st.sampled_from([None, 200, 529]),
        "error": WORDS,
        "request_bytes": st.sampled_from([0, 1, 5000]),
    },
)


def changed(call: Call, *changes: dict[str, Any]) -> Call:
    start, who, request, end = changes
    attribution = msgspec.structs.replace(call.start.attribution, **who)
    return msgspec.structs.replace(
        call,
        start=msgspec.structs.replace(call.start, attribution=attribution, **start),
        request=msgspec.structs.replace(call.request, **request),
        end=msgspec.structs.replace(call.end, **end),
    )


CALLS = st.builds(changed, st.sampled_from(BASE), START, WHO, REQUEST, END)


@pytest.mark.parametrize("dialect", [V1_41, GENAI_MAIN])
@given(calls=st.lists(CALLS, min_size=1, max_size=6))
def test_a_call_is_told_the_same_after_others(dialect: Semconv, calls: list[Call]) -> None:
    told = CallAttributes(dialect, scene.RUN)
    for call in [*calls, *calls]:
        row = scene.row_of(call)
        alone = CallAttributes(dialect, scene.RUN)
        # With their types: 1, 1.0 and True are equal.
        assert repr(told.all(call, row)) == repr(alone.all(call, row))
        names = [name for shared in told.shared(call, row) for name in shared.attributes]
        names += told.own(call, row)
        assert len(names) == len(set(names))


def test_calls_of_a_kind_and_of_one_share_it() -> None:
    told = CallAttributes(V1_41, scene.RUN)
    other = changed(BASE[0], {"call_id": "another"}, {}, {}, {"request_bytes": 77})
    one, two = (told.shared(call, scene.row_of(call)) for call in (BASE[0], other))
    assert all(mine is yours for mine, yours in zip(one, two, strict=True))


def test_what_is_kept_in_mind_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_attributes, "REMEMBERED", 10)
    told = CallAttributes(V1_41, scene.RUN)
    for number in range(100):
        who = {"session_id": f"s{number}"}
        call = changed(BASE[0], {}, who, {"model": f"m{number}"}, {})
        assert told.all(call, None)["gen_ai.request.model"] == f"m{number}"
        assert told.all(call, None)["gen_ai.conversation.id"] == f"s{number}"
    assert max(len(told._kinds), len(told._whose)) <= 10
