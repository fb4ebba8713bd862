"""Two servers that differ in how they answer, and what both of them say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer

HOST = "Host: bucket.example"


class Two(NamedTuple):
    """A server that answers a short way where it can, and one that never does."""

    quick: LiveServer
    usual: LiveServer


@contextmanager
def two_servers(directory: Path, way: str, **settings: str) -> Iterator[Two]:
    """Both with these settings; ``way`` is the one that is on for the first and off for the other.

    Below ``directory`` each has a store of its own, unless the settings name one.
    """
    with ExitStack() as stack:
        servers = ServerFactory(directory, stack)
        # The order of methods in Allow goes by the seed.
        alike = {"WEB_CONCURRENCY": "1", "PYTHONHASHSEED": "0", **settings}
        yield Two(*(servers.start(**alike, **{way: state}) for state in ("on", "off")))


def head(method: str, target: str, *fields: str, version: str = "1.1") -> bytes:
    """A request without a body, or what comes before one."""
    lines = [f"{method} {target} HTTP/{version}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def said(server: LiveServer, *pieces: bytes) -> bytes:
    """All that comes back, without the Date, when these are sent one after the other's answer.

    All but the last are whole requests.
    """
    with server.connect() as wire:
        answers = b""
        for piece in pieces[:-1]:
            wire.send(piece)
            answer = wire.receive_answer(piece.split(b" ")[0].decode())
            answers += b"%d\r\n%b%b" % (answer.status, bytes(answer.headers), answer.body)
        wire.send(pieces[-1])
        wire.end_sending()
        return re.sub(rb"Date: [^\r\n]*", b"Date:", answers + wire.receive_rest())
