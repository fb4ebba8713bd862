"""Connections take a bounded part of an answer at a time, whatever they come through."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from httpbucket.server.unsent import UNSENT_BYTES, bound_unsent

CAN_BOUND = hasattr(socket, "TCP_NOTSENT_LOWAT")


@pytest.mark.skipif(not CAN_BOUND, reason="this system bounds nothing")
def test_a_connection_has_the_bound_of_its_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound_unsent(listener)
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection:
                bound = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert bound == UNSENT_BYTES


def test_a_socket_that_is_no_tcp_is_left_as_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        bound_unsent(listener)


def test_a_system_that_cannot_do_it_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound_unsent(listener)
