"""A download of a directory that is deleted meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from httpbucket.domain.errors import BlobNotFound
from httpbucket.web.directories import breaking_off


def packed() -> Iterator[bytes]:
    yield b"the first file"
    raise BlobNotFound("No blob is kept.")


def test_it_ends_the_connection_where_a_file_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    pieces = breaking_off(packed())
    assert next(pieces) == b"the first file"
    with pytest.raises(ConnectionError) as caught:
        next(pieces)
    # gunicorn passes over this one without a traceback in the log.
    assert caught.value.errno == errno.ECONNRESET
    assert caplog.messages == ["A download broke off: No blob is kept."]
