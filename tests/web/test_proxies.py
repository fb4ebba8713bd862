"""What a proxy says of a request is believed of the operator's own proxies, and of nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from werkzeug.test import Client

from httpbucket.web.proxies import TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SEEN = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME")
DIRECT = ["192.0.2.1", "http", "bucket:5000", ""]
SAID = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "ci.example",
    "X-Forwarded-Prefix": "/bucket",
}
FIXED = ["198.51.100.7", "https", "ci.example", "/bucket"]


def tell(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An application that tells what it sees of its client."""
    start_response("200 OK", [])
    left = [name for name in environ if name.startswith("HTTP_X_FORWARDED")]
    return [json.dumps([[environ.get(name) for name in SEEN], left]).encode()]


def ask(
    trusted: str, headers: Mapping[str, str], peer: str = "192.0.2.1"
) -> tuple[list[str], list[str]]:
    """What the application sees, and which headers of proxies are left."""
    client = Client(TrustedProxies(tell, tuple(map(ip_network, trusted.split()))))
    answer = client.get(
        "/", headers={"Host": "bucket:5000", **headers}, environ_overrides={"REMOTE_ADDR": peer}
    )
    seen, left = json.loads(answer.get_data())
    return seen, left


@pytest.mark.parametrize("trusted", ["192.0.2.1", "192.0.2.0/24", "::1 192.0.0.0/8"])
def test_a_proxy_of_ours_is_believed(trusted: str) -> None:
    assert ask(trusted, SAID)[0] == FIXED


@pytest.mark.parametrize("trusted", ["", "192.0.2.2", "127.0.0.1", "::/0"])
def test_anybody_else_is_not_and_nothing_behind_sees_what_was_said(trusted: str) -> None:
    headers = SAID | {"X-Forwarded-Port": "81", "X-Forwarded-Server": "evil"}
    assert ask(trusted, headers) == (DIRECT, [])


@pytest.mark.parametrize("peer", ["", "unix:", "nonsense", "192.0.2.1, 192.0.2.2"])
def test_a_peer_without_an_address_is_not_believed(peer: str) -> None:
    assert ask("0.0.0.0/0 ::/0", SAID, peer)[1] == []


def test_a_peer_of_ipv4_is_known_where_the_server_listens_on_ipv6() -> None:
    assert ask("192.0.2.1", SAID, "::ffff:192.0.2.1")[0] == FIXED


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("spoofed, 198.51.100.7", "198.51.100.7"),
        ("192.0.2.9, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 192.0.2.9", "198.51.100.7"),
        ("spoofed, 198.51.100.7, 192.0.2.8, 192.0.2.9", "198.51.100.7"),
        ("192.0.2.8, 192.0.2.9", "192.0.2.8"),
    ],
)
def test_the_client_is_whom_the_first_of_our_proxies_was_asked_by(
    forwarded_for: str, client: str
) -> None:
    seen, _ = ask("192.0.2.0/24", {"X-Forwarded-For": forwarded_for})
    assert seen[0] == client


def test_of_several_values_the_last_counts() -> None:
    said = {name: f"evil, {value}" for name, value in SAID.items()}
    assert ask("192.0.2.1", said)[0] == FIXED


@pytest.mark.parametrize(
    "said",
    [
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"X-Forwarded-Prefix": "https://evil.example"},
        {"X-Forwarded-Prefix": "/a/../b c"},
        {"X-Forwarded-Prefix": '/"><script>'},
        {"X-Forwarded-Prefix": "/"},
        {"Forwarded": "for=198.51.100.7;host=evil.example;proto=https"},
        {"X-Forwarded-Port": "81"},
    ],
    ids=str,
)
def test_what_begins_no_link_of_ours_does_not_count(said: Mapping[str, str]) -> None:
    assert ask("192.0.2.1", said)[0] == DIRECT


def test_a_prefix_may_end_with_a_slash() -> None:
    assert ask("192.0.2.1", {"X-Forwarded-Prefix": "/a/b/"})[0][3] == "/a/b"
