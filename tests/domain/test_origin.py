"""Hosts and web addresses are compared as browsers and proxies write them."""

from __future__ import annotations

import pytest

from httpbucket.domain.origin import Authority, WebAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LocalHost:5000", "localhost", 5000),
        ("localhost:80", "localhost", None),
        ("localhost:443", "localhost", None),
        ("localhost.", "localhost", None),
        ("my_bucket:5000", "my_bucket", 5000),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:65535", "[::1]", 65535),
    ],
)
def test_a_host_is_read(text: str, host: str, port: int | None) -> None:
    assert Authority.parse(text) == Authority(host, port)


@pytest.mark.parametrize(
    "text", ["", "null", ":5000", "a b", "a/b", "me@host", "host:", "host:0", "host:65536", "[::1"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    if text == "null":
        # As the value of ``Origin`` it has no host behind its scheme.
        text = text.partition("://")[2]
    with pytest.raises(ValueError, match="no host"):
        Authority.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://bucket.example", "http://bucket.example"),
        ("HTTP://Bucket.Example/", "http://bucket.example"),
        ("http://bucket.example:80", "http://bucket.example"),
        ("https://bucket.example:443/a/", "https://bucket.example/a"),
        ("https://bucket.example:8443/a/b%20c", "https://bucket.example:8443/a/b%20c"),
        ("http://[::1]:5000/a", "http://[::1]:5000/a"),
    ],
)
def test_an_address_is_shown_as_it_was_read(text: str, shown: str) -> None:
    address = WebAddress.parse(text)
    assert str(address) == shown
    assert WebAddress.parse(shown) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "//bucket.example", "bucket.example", "ftp://bucket.example", "http://"),
        *("http://a?b", "http://a#b", "http://a/b c", "http://a/'", "http://a/\u00e9"),
        *("http://a//b", "http://a:443", "https://a:80", "http://a\n"),
    ],
)
def test_what_no_link_can_begin_with_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        WebAddress.parse(text)


def test_an_origin_has_no_path_and_a_name_that_a_policy_can_hold() -> None:
    assert str(WebAddress.parse_origin("http://files.example:8080/")) == "http://files.example:8080"
    with pytest.raises(ValueError, match="has a path"):
        WebAddress.parse_origin("http://files.example/a")
    with pytest.raises(ValueError, match="IPv6"):
        WebAddress.parse_origin("http://[::1]:8080")
