"""Files that come without a form: as the body itself, or as the digest of what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.routing import PathConverter

from httpbucket.domain.digest import Digest, read_question
from httpbucket.domain.errors import EmptyFilename, InvalidDigest, MissingFile, PartialBody
from httpbucket.domain.sent_digest import checksum, distinct
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload_path import UploadPath
from httpbucket.services.expected import verified
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.services.receive import IncomingFile
from httpbucket.web.request import BucketRequest
from httpbucket.web.sent_digests import digests_in_head

#: A form without a file is two short fields.
_MOST_FORM_BYTES = 64 * 1024

_DEPLOY = "X-Checksum-Deploy"


class _AnyPath(PathConverter):
    """A path whose names may hold line breaks too, as the names of files may."""

    regex = r"[^/](?s:.)*?"


def know_any_path(state: BlueprintSetupState) -> None:
    """Let routes say ``<any_path:name>``."""
    state.app.url_map.converters["any_path"] = _AnyPath


def is_raw(asked: BucketRequest, name: str) -> bool:
    """Whether the request brings its file without a form, under ``name`` of its path."""
    return not asked.is_multipart and not _is_small_form(asked, name)


def _is_small_form(asked: BucketRequest, name: str) -> bool:
    return (
        asked.mimetype == "application/x-www-form-urlencoded"
        and asked.method == "POST"
        and 0 < (asked.content_length or 0) <= _MOST_FORM_BYTES
        and not (name or "filename" in asked.args)
    )


@contextmanager
def raw_offer(
    asked: BucketRequest, ingest: Ingest, name: str, *, preferred: str
) -> Iterator[Offer]:
    """The file that the body is, or that a digest names. Use it within `receiving`.

    Raises `EmptyFilename`, `MissingFile`, `InvalidPath`, and as `kept_offer`.
    """
    asked.is_raw = True
    if "Content-Range" in asked.headers:
        # RFC 9110, 14.5: a part must not be taken for the whole.
        raise PartialBody("Content-Range: a part of a file is not kept; /tus/ takes pieces.")
    path = _path(asked, name)
    if _is_without_bytes(asked):
        with kept_offer(asked, ingest, path, preferred=preferred) as offer:
            yield offer
    else:
        # Refused before all of the body is read.
        UnpackWish.parse(asked.parameter("Unpack"))
        expected = expected_digests(asked, preferred=preferred)
        yield Offer(_received(asked, expected), path.name, path.folder, expected)


@contextmanager
def kept_offer(
    asked: BucketRequest, ingest: Ingest, path: UploadPath, *, preferred: str
) -> Iterator[Offer]:
    """The content that a digest names, to be kept once more under ``path``.

    Raises as `Ingest.recall`, and `InvalidDigest` when no digest is there.
    """
    expected = digests_in_head(asked)
    question = _question(asked, expected, preferred)
    # The first of several says what is asked for, which then has to have the others too.
    said = _checksums(asked.parameters("checksum")[1:], preferred)
    expected = distinct((*expected, *said))
    with ingest.recall(question) as content:
        yield Offer(content, path.name, path.folder, expected)


def expected_digests(asked: BucketRequest, *, preferred: str) -> tuple[Digest, ...]:
    """What headers, query and the fields ``checksum`` say of the file. Raises `InvalidDigest`."""
    said = _checksums(asked.parameters("checksum"), preferred)
    return distinct((*digests_in_head(asked), *said))


def _checksums(texts: Iterable[str], preferred: str) -> Iterator[Digest]:
    return chain.from_iterable(checksum(text, preferred=preferred) for text in texts)


def _question(
    asked: BucketRequest, expected: tuple[Digest, ...], preferred: str
) -> tuple[Digest, ...]:
    if text := asked.parameter("checksum").strip():
        return read_question(text, preferred=preferred)
    if not expected:
        raise InvalidDigest(f"{_DEPLOY} needs a digest, for example X-Checksum-Sha256: 9f86…")
    # The identity of a content leaves nothing to be ambiguous.
    return (next((one for one in expected if one.algorithm == "sha256"), expected[0]),)


def _is_without_bytes(asked: BucketRequest) -> bool:
    if asked.headers.get(_DEPLOY, "").strip().lower() == "true":
        return True
    return asked.method == "POST" and not asked.has_body and bool(asked.parameter("checksum"))


def _path(asked: BucketRequest, name: str) -> UploadPath:
    text = name or asked.args.get("filename", "")
    if not text.rpartition("/")[2]:
        raise nameless(asked)
    return UploadPath.parse(text, below=asked.args.get("path", ""))


def nameless(asked: BucketRequest) -> EmptyFilename | MissingFile:
    """What to say of a body that is no form and has no name."""
    upload = asked.address_of("upload")
    line = f"curl -T results.xml {upload}/"
    if asked.method == "POST" and asked.path == "/upload":
        kind = asked.mimetype or "nothing"
        return MissingFile(
            f"The body is {kind}, not multipart/form-data, and has no name; send a file for "
            f"example with curl -F file=@results.xml {upload}, or with {line}"
        )
    return EmptyFilename(f"The file has no name; send it for example with {line}")


def received_body(asked: BucketRequest, expected: tuple[Digest, ...] = ()) -> IncomingFile:
    """The body, staged. Raises `DigestMismatch` unless it has each of the ``expected`` digests.

    Use it within `receiving`.
    """
    incoming = _received(asked, expected)
    verified(incoming, incoming.known_as(""), expected)
    return incoming


def _received(asked: BucketRequest, expected: tuple[Digest, ...]) -> IncomingFile:
    """The body, staged; it ends where its length says, as the server sees to."""
    act = asked.act
    assert act is not None, "bodies are read within receiving()"
    act.expect(asked.content_length or 0)
    act.compute(digest.algorithm for digest in expected)
    incoming = act.new_file()
    for piece in asked.content(act.spare_memory):
        incoming.write(piece)
        # It is not to be held while the next one is waited for.
        del piece
    return incoming
