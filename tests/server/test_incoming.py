"""How long a client is waited for, and what its connection is read with."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from httpbucket.server.incoming import Incoming, Patience
from httpbucket.server.places import Places


class TestPatience:
    def test_silence_ends_it(self) -> None:
        patience = Patience(seconds=60, least_rate=1024)
        patience.spend(59)
        assert patience.left == 1
        patience.spend(2)
        assert patience.left < 0

    def test_the_least_rate_is_waited_for_without_end(self) -> None:
        patience = Patience(seconds=60, least_rate=1024)
        for _ in range(1000):
            patience.spend(10)
            patience.earn(10 * 1024)
        assert patience.left == 60

    def test_half_of_it_ends_after_twice_the_time(self) -> None:
        patience = Patience(seconds=60, least_rate=1024)
        seconds = 0
        while patience.left > 0:
            patience.spend(1)
            patience.earn(512)
            seconds += 1
        assert seconds == 120

    def test_what_came_fast_is_no_credit(self) -> None:
        patience = Patience(seconds=60, least_rate=1)
        patience.earn(10**9)
        assert patience.left == 60

    def test_without_a_rate_bytes_earn_nothing(self) -> None:
        patience = Patience(seconds=2)
        patience.spend(1)
        patience.earn(10**9)
        assert patience.left == 1


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with ours, theirs:
        yield ours, theirs


def read(incoming: Incoming, size: int) -> bytes:
    return incoming.recv(size)


def read_into(incoming: Incoming, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: incoming.recv_into(memoryview(buffer))])


either = pytest.mark.parametrize("read", [read, read_into])
Read = Callable[[Incoming, int], bytes]


def incoming_on(
    connection: socket.socket, *, seconds: float = 60, rate: float = math.inf
) -> Incoming:
    return Incoming(connection, Patience(seconds=seconds, least_rate=rate), Places(1))


@either
class TestIncoming:
    def test_what_is_there_is_read(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        theirs.sendall(b"12345")
        incoming = incoming_on(ours)
        assert read(incoming, 3) == b"123"
        assert read(incoming, 100) == b"45"
        theirs.shutdown(socket.SHUT_WR)
        assert read(incoming, 100) == b""

    def test_what_comes_later_is_waited_for(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        threading.Timer(0.05, theirs.sendall, [b"12345"]).start()
        assert read(incoming_on(ours), 100) == b"12345"

    def test_silence_is_a_time_out(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        with pytest.raises(TimeoutError):
            read(incoming_on(sockets[0], seconds=0.01), 100)

    def test_what_is_there_is_read_though_patience_ended(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        incoming = incoming_on(ours)
        incoming.settimeout(0)
        theirs.sendall(b"12345")
        assert read(incoming, 100) == b"12345"
        with pytest.raises(TimeoutError):
            read(incoming, 100)

    def test_only_waiting_counts(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        now = iter(range(0, 10**6, 40))
        patience = Patience(seconds=60)
        incoming = Incoming(ours, patience, Places(1), clock=lambda: float(next(now)))
        theirs.sendall(b"12")
        assert read(incoming, 1) + read(incoming, 1) == b"12"
        assert patience.left == 60
        threading.Timer(0.05, theirs.sendall, [b"3"]).start()
        assert read(incoming, 1) == b"3"
        assert patience.left == 20

    def test_who_waits_lends_its_place(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        places = Places(1)

        def send_from_a_place() -> None:
            with places.taken():
                theirs.sendall(b"12345")

        with places.taken():
            other = threading.Thread(target=send_from_a_place)
            other.start()
            assert read(Incoming(ours, Patience(seconds=15), places), 100) == b"12345"
        other.join()

    def test_a_reset_is_told(
        self, sockets: tuple[socket.socket, socket.socket], read: Read
    ) -> None:
        ours, theirs = sockets
        ours.sendall(b"unread")
        theirs.close()
        with pytest.raises(ConnectionResetError):
            read(incoming_on(ours), 100)
