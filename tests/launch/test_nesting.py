from __future__ import annotations

import msgspec

from tests.launch.test_environment import child_environment
from tokenproxy.launch import nesting


def test_an_inner_run_can_take_it_all_back() -> None:
    env = {"A": "b", "HTTPS_PROXY": "http://corp:3128", "NO_PROXY": "x", "SSL_CERT_FILE": "/mine"}
    for mode in ("forward", "reverse"):
        inner = nesting.without_outer_run(child_environment(env, mode))
        assert inner.pop("TRACEPARENT")
        assert inner.pop("TOKENPROXY_RUN_ID") == "the-run"
        assert inner == env


def test_what_was_asked_of_the_outer_run_holds_inside() -> None:
    made = child_environment({}, routes={"h": "http://x"}, ledger="/the/ledger")
    outer = nesting.outer_run(made)
    assert (outer.routes, outer.ledger) == ({"h": "http://x"}, "/the/ledger")


def test_the_commands_telemetry_holds_inside_and_is_turned_on_anew() -> None:
    """The inner run's command is another sender than the outer's."""
    given = {"OTEL_RESOURCE_ATTRIBUTES": "team.id=a"}
    turned_on = {"OTEL_RESOURCE_ATTRIBUTES": "team.id=a,service.instance.id=1", "X": "1"}
    made = child_environment(given, telemetry=turned_on)
    assert turned_on.items() <= made.items()
    assert nesting.outer_run(made).client_telemetry
    inner = nesting.without_outer_run(made)
    assert inner["OTEL_RESOURCE_ATTRIBUTES"] == "team.id=a"
    assert "X" not in inner
    assert not nesting.outer_run(child_environment(given)).client_telemetry


def test_what_was_changed_since_is_kept() -> None:
    made = child_environment({"HTTPS_PROXY": "http://corp:3128"})
    made["HTTPS_PROXY"] = "http://other:1"
    del made["https_proxy"]
    inner = nesting.without_outer_run(made)
    assert inner["HTTPS_PROXY"] == "http://other:1"
    assert "https_proxy" not in inner


def test_a_note_that_cannot_be_read_is_none() -> None:
    for note in ("", "{", "[]", '{"changes": 3}', "\udcff"):
        assert nesting.outer_run({nesting.VARIABLE: note}) == nesting.OuterRun()
    assert msgspec.to_builtins(nesting.outer_run({})) == {}
