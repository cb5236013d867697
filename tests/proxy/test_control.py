"""The line between launcher and proxy."""

import socket

import msgspec
import pytest

from tokenproxy.config import IterationEnd, ProxyConfig, RunContext, Summary
from tokenproxy.proxy.control import Answer, Control, Order


def config() -> ProxyConfig:
    run = RunContext(run_id="r", trace_id="1" * 32, span_id="2" * 16, started_ns=7)
    return ProxyConfig(run=run, ledger="/l", run_dir="/d", listen_fd=3, ca_key_pem="KEY")


def test_configuration_orders_and_answers_cross_the_line() -> None:
    ours, theirs = socket.socketpair()
    control = Control(ours)
    end = IterationEnd(ended_ns=9, exit_status=130)
    theirs.sendall(msgspec.json.encode(config()) + b"\n")
    theirs.sendall(msgspec.json.encode(Order(child=42)) + b"\n")
    theirs.sendall(msgspec.json.encode(Order(finish=end)) + b"\n")
    assert control.read_config() == config()
    assert control.read_order() == Order(child=42)
    assert control.read_order() == Order(finish=end)

    control.send(Answer(summary=Summary(calls=2)))
    assert msgspec.json.decode(theirs.recv(4096)) == {"summary": {"calls": 2}}


def test_a_launcher_that_is_gone_reads_as_no_order_and_hears_nothing() -> None:
    ours, theirs = socket.socketpair()
    control = Control(ours)
    theirs.sendall(b'{"finish": {"ended')
    theirs.close()
    assert control.read_order() is None
    control.send(Answer(ready=True))


def test_a_launcher_that_leaves_before_the_configuration_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(EOFError):
        Control(ours).read_config()
