from __future__ import annotations

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.tus import (
    InvalidTusRequest,
    parse_checksum,
    parse_count,
    parse_metadata,
)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "0x10", "١", "9" * 19, " 1"])
def test_a_count_is_decimal_digits(text: str) -> None:
    with pytest.raises(InvalidTusRequest, match="Upload-Offset"):
        parse_count("Upload-Offset", text)


def test_metadata_are_names_and_base64() -> None:
    said = parse_metadata("filename w6TDtsO8,Topic bmlnaHRseQ==,is_private")
    assert said == {"filename": "äöü", "topic": "nightly", "is_private": ""}


def test_no_metadata_say_nothing() -> None:
    assert parse_metadata("") == {}


@pytest.mark.parametrize("text", ["filename a", "a YQ== YQ==", "a YQ==,A YQ==", "a YQ==,,b YQ=="])
def test_malformed_metadata_are_refused(text: str) -> None:
    with pytest.raises(InvalidTusRequest):
        parse_metadata(text)


def test_a_checksum_is_an_algorithm_and_base64() -> None:
    assert parse_checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=") == Digest(
        "sha1", "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"
    )


@pytest.mark.parametrize("text", ["", "sha1", "sha1 Kq5s", "crc32 AAAAAA==", "sha1 !"])
def test_a_malformed_checksum_is_refused(text: str) -> None:
    with pytest.raises(InvalidTusRequest):
        parse_checksum(text)
