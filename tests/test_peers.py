from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tokenproxy import peers
from tokenproxy.peers import Peers

FAMILIES = [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "::ffff:127.0.0.1")]
"""Where we listen, and what a client connects to: Java's sockets are always IPv6's."""
WAYS = ["netlink", "proc"]


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@pytest.fixture(params=FAMILIES, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listener and a client that has connected to it."""
    listens, dialled = request.param
    with (
        socket.create_server((listens, 0), family=family_of(listens)) as listener,
        socket.socket(family_of(dialled)) as client,
    ):
        client.connect((dialled, listener.getsockname()[1]))
        yield listener, client


def asking(listener: socket.socket, way: str, monkeypatch: pytest.MonkeyPatch) -> Peers:
    if way == "proc":
        monkeypatch.setattr(socket, "AF_NETLINK", -1)  # as on a system without it
    return Peers(listener)


@pytest.mark.parametrize("way", WAYS)
def test_whose_it_is_while_it_is_somebodys(
    ends: tuple[socket.socket, socket.socket], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, client = ends
    kernel = asking(listener, way, monkeypatch)
    connection, address = listener.accept()
    with connection:
        far, here = address[:2], listener.getsockname()[:2]
        assert kernel.user_of(far, here) == os.geteuid()
        client.shutdown(socket.SHUT_WR)
        assert kernel.user_of(far, here) == os.geteuid(), "it still reads"
        client.close()
        assert kernel.user_of(far, here) is None, "the kernel would call it root's"
    kernel.close()


def test_an_answer_that_comes_too_late_is_nobodys(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """And one that does not come is looked for elsewhere."""
    listener, client = ends
    kernel = Peers(listener)
    connection, address = listener.accept()
    with connection:
        far, here = address[:2], listener.getsockname()[:2]
        netlink = kernel._netlink
        assert netlink is not None
        kernel._netlink = Deaf(netlink)  # type: ignore[assignment] # it has what is used
        assert kernel.user_of(far, here) == os.geteuid(), "from the list"
        kernel._netlink = netlink
        client.close()
        assert kernel.user_of(far, here) is None, "not the answer to the last question"
    kernel.close()


class Deaf:
    """A netlink socket whose answer does not come in time."""

    def __init__(self, netlink: socket.socket) -> None:
        self.send = netlink.send

    def recv(self, *_: int) -> bytes:
        raise BlockingIOError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
@pytest.mark.parametrize("way", WAYS)
def test_another_users(
    ends: tuple[socket.socket, socket.socket], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, client = ends
    kernel = asking(listener, way, monkeypatch)
    os.fchown(client.fileno(), 4242, -1)
    connection, address = listener.accept()
    with connection:
        assert kernel.user_of(address[:2], listener.getsockname()[:2]) == 4242
    kernel.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_is_only_being_made_is_nobodys(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ports may be those of one that waits to be accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as full:
        kernel = asking(listener, way, monkeypatch)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)  # noqa: FBT003 - socket's own
            client.connect_ex(full.getsockname())
        answers = {kernel.user_of(c.getsockname(), full.getsockname()) for c in waiting}
        assert answers == {os.geteuid(), None}, "the backlog takes one or two"
        for client in waiting:
            client.close()
        kernel.close()


def test_a_listener_that_is_not_ours_to_see_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert peers.telling(listener)
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        assert not peers.telling(listener)


def test_other_systems_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr("sys.platform", "darwin")
        assert not peers.telling(listener)
        with pytest.raises(OSError, match="does not tell"):
            Peers(listener)
