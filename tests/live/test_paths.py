"""Paths as attackers write them, sent byte by byte: nothing but what is kept is ever shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.server import LiveServer
from tests.live.wire import Wire

SECRET = b"a secret of the machine"
PREFIXES = ["/archive/", "/replica/", "/blob/", "/uploads/", "/checksum/", "/static/", "/"]
TRICKS = [
    *("../private/secret", "../../secret", "x/../../private/secret", "./../private/secret"),
    *("%2e%2e/private/secret", "%2e%2e%2fprivate%2fsecret", "..%2fprivate%2fsecret"),
    *("%252e%252e/private/secret", "%252e%252e%252fprivate%252fsecret", "..%252fprivate"),
    *("..%5cprivate%5csecret", "..\\private\\secret", "..;/private/secret", "..%00/private/secret"),
    *("%c0%ae%c0%ae/private/secret", "%e0%80%ae%e0%80%ae/private", "%uff0e%uff0e/private"),
    *("%ef%bc%8e%ef%bc%8e/private/secret", "....//private/secret", "..././private/secret"),
    *("planted/secret", "planted", "planted/", "planted.latest", "planted%2fsecret"),
    *("secret%00.txt", "%00", "%00/private/secret", "%0d%0aX-Evil:%20yes", "%ff%fe"),
    *("%2fetc%2fpasswd", "%2f%2fetc%2fpasswd", "file:///etc/passwd", "~root/secret", "%7eroot"),
]
NAMELESS = ["/archive/../private/secret?json", "/archive/planted?zip", "/replica/planted/?tar"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with secrets around what it may show, and links that somebody planted."""
    directory = tmp_path_factory.mktemp("paths")
    with LiveServer(
        directory, WEB_CONCURRENCY="1", FSYNC="off", CONTENT_ORIGIN="http://files.example"
    ) as server:
        server.upload(b"kept", "kept.txt")
        for place in (server.archive / "private", directory):
            (place / "secret").write_bytes(SECRET)
        for shelf in ("archive", "replica", "blob"):
            (server.archive / shelf / "planted").symlink_to("../private")
            (server.archive / shelf / "planted.latest").symlink_to("../private/secret")
        yield server


@pytest.mark.parametrize("host", ["bucket.example", "files.example"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_trick_leads_out(server: LiveServer, prefix: str, host: str) -> None:
    with server.connect() as wire:
        for trick in TRICKS:
            assert_refused(wire, f"{prefix}{trick}", server, host)
        # The connection is in step after all of that.
        wire.send_request("GET", "/ping")
        assert wire.receive_answer().body == b"pong\n"


@pytest.mark.parametrize("path", NAMELESS)
def test_no_form_of_a_listing_leads_out(server: LiveServer, path: str) -> None:
    with server.connect() as wire:
        assert_refused(wire, path, server, "bucket.example")


def test_listings_and_packed_directories_do_not_have_what_was_planted(server: LiveServer) -> None:
    for shelf in ("archive", "replica"):
        for query in ("?json", "?simple", "?tar", "?zip", "SHA256SUMS"):
            answer = server.request("GET", f"/{shelf}/{query}")
            assert answer.status == 200
            assert b"planted" not in answer.body
            assert SECRET not in answer.body


def test_a_target_in_absolute_form_is_a_path_here(server: LiveServer) -> None:
    """As proxies are asked (RFC 9112, 3.2.2); the host in it leads nowhere."""
    with server.connect() as wire:
        for target in ("http://evil.example/archive", "http://files.example/archive"):
            wire.send_request("GET", target, headers={"Host": "bucket.example"})
            answer = wire.receive_answer()
            assert b"evil.example" not in answer.body
            assert not answer.headers.get("Location", "/").startswith(("http:", "//"))


def assert_refused(wire: Wire, path: str, server: LiveServer, host: str) -> None:
    wire.send_request("GET", path, headers={"Host": host})
    answer = wire.receive_answer()
    shown = (path, answer.status, answer.headers.get("Location"))
    # A path with slashes too many is sent on to the right one, below the same prefix.
    assert answer.status in {400, 404, 308}, shown
    location = answer.headers.get("Location", "/")
    assert location.startswith("/"), shown
    assert not location.startswith("//"), shown
    assert "x-evil" not in answer.headers, shown
    for leak in (SECRET, b"root:", b"Traceback", str(server.archive).encode()):
        assert leak not in answer.body, shown
