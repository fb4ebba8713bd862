"""Every form in which digests are sent along is read, and what is malformed is told."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import InvalidDigest
from httpbucket.domain.sent_digest import (
    Digests,
    checksum,
    content_md5,
    digest_fields,
    in_hex,
    instance_digests,
    named_digest,
)


def digest(algorithm: str) -> Digest:
    return Digest.of(algorithm, hashlib.new(algorithm, b"content").digest())


def base64(algorithm: str) -> str:
    return b64encode(digest(algorithm).value).decode()


MD5, SHA1, SHA256, SHA512 = map(digest, ("md5", "sha1", "sha256", "sha512"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sha-256=:{base64('sha256')}:", (SHA256,)),
        (f"sha-256=:{base64('sha256')}:, sha-512=:{base64('sha512')}:", (SHA256, SHA512)),
        (f"  md5=:{base64('md5')}:;x=1 ,\tsha=:{base64('sha1')}:", (MD5, SHA1)),
        # Checksums that are no digests, and what nobody registered.
        (f'crc32c=:AAAA:, adler=:AA==:, x, y=1, z="a, b", sha-256=:{base64("sha256")}:', (SHA256,)),
        # Of a member that comes twice the last one counts (RFC 8941, 4.2.2).
        (f"sha-256=:AAAA{'A' * 39}=:, sha-256=:{base64('sha256')}:", (SHA256,)),
        ("", ()),
    ],
)
def test_fields_of_rfc_9530(text: str, expected: Digests) -> None:
    assert digest_fields(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"SHA-256={base64('sha256')}", (SHA256,)),
        (
            f"md5={base64('md5')},sha={base64('sha1')}, SHA-512={base64('sha512')}",
            (MD5, SHA1, SHA512),
        ),
        ("UNIXsum=30637, id-sha-256=AAAA", ()),
        ("", ()),
    ],
)
def test_the_older_field(text: str, expected: Digests) -> None:
    assert instance_digests(text) == expected


def test_content_md5_and_hex() -> None:
    assert content_md5(f" {base64('md5')} ") == (MD5,)
    assert in_hex("sha1")(f" {SHA1.hex.upper()} ") == (SHA1,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sha256:{SHA256.hex}", (SHA256,)),
        (f"SHA-256:{SHA256.hex.upper()}", (SHA256,)),
        (SHA256.hex, (SHA256,)),
        (MD5.hex, (MD5,)),
        ("blake3:00", ()),
    ],
)
def test_checksums(text: str, expected: Digests) -> None:
    assert checksum(text, preferred="md5") == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (content_md5, "not base64"),
        (content_md5, "AAAA"),
        (content_md5, MD5.hex),
        (digest_fields, f"sha-256={SHA256.hex}"),
        (digest_fields, "sha-256=:AAAA:"),
        (digest_fields, "sha-256"),
        (digest_fields, "sha-256=::"),
        (digest_fields, "=:AAAA:"),
        (digest_fields, "ß"),
        (instance_digests, "SHA-256"),
        (instance_digests, f"SHA-256={SHA256.hex}"),
        (instance_digests, "MD5="),
        (in_hex("sha256"), "WRONG"),
        (in_hex("sha256"), SHA512.hex),
        (named_digest, SHA256.hex),
        (named_digest, "sha256:WRONG"),
        (named_digest, ""),
    ],
)
def test_what_is_malformed_is_told(parse: Callable[[str], Digests], text: str) -> None:
    with pytest.raises(InvalidDigest):
        parse(text)


@given(st.text())
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in (content_md5, digest_fields, instance_digests, in_hex("md5"), named_digest):
        try:
            parse(text)
        except InvalidDigest:
            continue


def test_a_long_malformed_field_is_refused_soon() -> None:
    for text in (
        "a" * 8000,
        "a=" * 4000,
        "sha-256=:" * 900,
        ' "' * 4000,
        "a;" * 4000,
        "a," * 4000 + "!",
    ):
        try:
            digest_fields(text)
        except InvalidDigest:
            continue
