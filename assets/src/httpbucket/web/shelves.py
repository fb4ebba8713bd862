"""``/archive/…`` and ``/replica/…``: everything that is kept, under its public names."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO
from urllib.parse import quote

from flask import Blueprint, Response

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.services.browse import Browse, Shown
from httpbucket.web.conditions import Representation
from httpbucket.web.content import IMMUTABLE, REVALIDATE, Content, ContentSender
from httpbucket.web.current import current_request
from httpbucket.web.directories import Directories, wanted_form
from httpbucket.web.file_pages import FilePages

#: Every directory answers for a file of this name, unless it holds one.
CHECKSUMS_NAME = "SHA256SUMS"


def blueprint(
    *, browse: Browse, directories: Directories, pages: FilePages, sender: ContentSender
) -> Blueprint:
    """The routes of the public directories."""
    routes = Blueprint("shelves", __name__)

    @routes.get("/archive/", defaults={"path": ""})
    @routes.get("/archive/<path:path>")
    def archive(path: str) -> Response:
        return show(f"archive/{path}")

    @routes.get("/replica/", defaults={"path": ""})
    @routes.get("/replica/<path:path>")
    def replica(path: str) -> Response:
        return show(f"replica/{path}")

    def show(text: str) -> Response:
        path = PublicPath.parse(text.removesuffix("/"))
        has_slash = text.endswith("/")
        try:
            shown = browse.look(path)
        except NameNotFound:
            if has_slash or path.name != CHECKSUMS_NAME or current_request().is_for_contents:
                raise
            return checksums(PublicPath(path.parts[:-1]))
        if current_request().is_for_contents and _is_page(shown):
            raise NameNotFound(text)
        if shown.entry.is_directory:
            return show_directory(shown, has_slash=has_slash)
        if has_slash:
            raise NameNotFound(text)
        return pages.answer(shown) if _is_page(shown) else send(shown)

    def show_directory(directory: Shown, *, has_slash: bool) -> Response:
        if not has_slash and wanted_form() == "html":
            return _to_directory(directory)
        return directories.answer(directory)

    def checksums(path: PublicPath) -> Response:
        directory = browse.look(path)
        if not directory.entry.is_directory:
            raise NameNotFound(f"{path}/{CHECKSUMS_NAME}")
        return directories.checksums(directory)

    def send(shown: Shown) -> Response:
        packed = browse.gzip_of(shown) if _accepts_gzip() else None
        content = _content(shown, packed)

        def open_content() -> BinaryIO:
            return browse.content(packed.sha256) if packed else browse.open(shown)

        response = sender.send(content, open_content, lambda: browse.see(shown))
        if shown.facts and shown.facts.packed:
            response.vary.add("Accept-Encoding")
        return response

    return routes


def _content(shown: Shown, packed: Descriptor | None) -> Content:
    """What is said of a file: by its digests, or as far as can be known without them."""
    entry, facts = shown.entry, shown.facts
    is_fixed = facts is not None and shown.resolved.parts[0] == "archive"
    cache = IMMUTABLE if is_fixed else REVALIDATE
    if facts is None:
        etag = f"{entry.size:x}-{int(entry.modified * 1e6):x}"
        known = Representation(entry.size, etag, is_weak=True, modified=shown.modified)
        return Content(known, shown.path.name, shown.media_type, cache)
    blob = packed or facts.blob
    known = Representation(blob.size, blob.sha256.hex, modified=shown.modified)
    content = Content(known, shown.path.name, shown.media_type, cache, blob)
    return replace(content, coding="gzip") if packed else content


def _is_page(shown: Shown) -> bool:
    """Whether the request is answered with something about a name, not with a file."""
    return shown.entry.is_directory or "view" in current_request().args


def _accepts_gzip() -> bool:
    accepted = current_request().accept_encodings
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= accepted["identity"]


def _to_directory(directory: Shown) -> Response:
    """A directory's page is known by its slash, which its relative links need."""
    query = current_request().query_string.decode("latin-1")
    location = f"./{quote(directory.path.name, safe='')}/{f'?{query}' if query else ''}"
    return Response(status=301, headers={"Location": location})
