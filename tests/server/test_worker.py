"""How many threads a worker may have, and when one of them goes on with its client."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace

import pytest

from httpbucket.server.worker import MOST_THREADS, PatientWorker, most_threads


@pytest.mark.parametrize(
    ("descriptors", "most"), [(64, 5), (1024, 125), (65536, MOST_THREADS), (8, -2)]
)
def test_threads_are_as_many_as_descriptors_suffice_for(descriptors: int, most: int) -> None:
    assert most_threads(descriptors) == most


def test_who_may_open_any_number_of_files_has_the_most_threads() -> None:
    assert most_threads(resource.RLIM_INFINITY) == MOST_THREADS


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the worker's end, and the client's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def goes_on(
    ours: socket.socket, *, threads: int = 1, alive: bool = True, read: bytes = b""
) -> bool:
    worker = object.__new__(PatientWorker)
    worker.alive = alive
    worker.cfg = SimpleNamespace(threads=4)
    worker.tpool = SimpleNamespace(count=threads)
    buffered = BytesIO(read)
    parser = SimpleNamespace(unreader=SimpleNamespace(buf=buffered))
    return worker._sends_on(SimpleNamespace(sock=ours, parser=parser))


Ends = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("start", [b"PUT /upload/a HTTP/1.1", b"POST", b"P", b"HEAR"])
def test_a_thread_goes_on_with_a_client_that_does(ends: Ends, start: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(start)
    assert goes_on(ours)
    assert ours.recv(100) == start


@pytest.mark.parametrize("start", [b"HEAD /checksum/ab HTTP/1.1", b"HE", b"GET /blob/ab HTTP/1.1"])
def test_questions_are_left_to_the_poller(ends: Ends, start: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(start)
    assert not goes_on(ours)
    assert ours.recv(100) == start


def test_a_thread_does_not_wait_long_for_a_client_that_pauses(ends: Ends) -> None:
    assert not goes_on(ends[0])


def test_a_connection_that_was_closed_is_left_to_the_poller(ends: Ends) -> None:
    ours, theirs = ends
    theirs.shutdown(socket.SHUT_WR)
    assert not goes_on(ours)


def test_no_thread_goes_on_that_is_one_too_many_or_of_a_worker_that_ends(ends: Ends) -> None:
    ours, theirs = ends
    theirs.sendall(b"PUT /upload/a HTTP/1.1")
    assert not goes_on(ours, threads=5)
    assert not goes_on(ours, alive=False)
    assert not goes_on(ours, read=b"PUT")
