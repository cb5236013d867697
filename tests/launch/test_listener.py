from __future__ import annotations

import socket

from tokenproxy.launch import listener


def test_it_listens_on_loopback_only_and_is_not_inherited() -> None:
    with listener.open_listener() as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert listener.port_of(sock) == sock.getsockname()[1] > 0
        assert not sock.get_inheritable()


def test_a_connection_that_nobody_accepts_waits() -> None:
    with listener.open_listener() as sock:
        assert not listener.has_waiting(sock)
        with socket.create_connection(sock.getsockname()):
            assert listener.has_waiting(sock)
            accepted, _ = sock.accept()
            accepted.close()
            assert not listener.has_waiting(sock)
