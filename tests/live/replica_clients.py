"""Clients that say where their uploads are to appear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.live.server import LiveServer
from tests.live.wire import Wire, multipart

TEMPLATE = "user/${USERNAME}/${TOPIC}"
BOB = {"Username": "bob", "Topic": "demo"}
DEMO = "replica/user/bob/demo"


def upload_to(
    server: LiveServer,
    headers: Mapping[str, str],
    content: bytes = b"<results/>",
    filename: str = "results.xml",
) -> dict[str, Any]:
    """Upload with headers, on a connection of its own, and return the receipt."""
    with server.connect() as wire:
        return upload_on(wire, headers, content, filename)


def upload_on(
    wire: Wire, headers: Mapping[str, str], content: bytes, filename: str = "results.xml"
) -> dict[str, Any]:
    """Upload on a connection that goes on, and return the receipt."""
    body, kind = multipart(content, filename)
    wire.send_request("POST", "/upload", body, {"Content-Type": kind, **headers})
    answer = wire.receive_answer("POST")
    assert answer.status == 200, answer
    return answer.json
