"""Taking uploads and replicas away again, and the mark that keeps them."""

from __future__ import annotations

import re

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.domain.errors import NameNotFound, NotDeletable
from httpbucket.domain.freed import Freed
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.size import show_size
from httpbucket.domain.upload import UploadId
from httpbucket.services.delete import Delete
from httpbucket.services.mark import Mark
from httpbucket.services.undo import Undo
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter

_DAY = re.compile(r"archive(/[0-9]{4}(/[0-9]{2}(/[0-9]{2})?)?)?")


def blueprint(*, delete: Delete, mark: Mark, undo: Undo, present: Presenter) -> Blueprint:
    """The routes that take something away."""
    routes = Blueprint("deletions", __name__)

    @routes.delete("/uploads/<upload>")
    def upload(upload: str) -> Response:
        return _deleted(present, delete, UploadId.parse(upload))

    @routes.delete("/archive/<path:path>")
    def archive(path: str) -> Response:
        return _deleted(present, delete, _upload_at(f"archive/{path.removesuffix('/')}"))

    @routes.delete("/replica/<path:path>")
    def replica(path: str) -> Response:
        text = f"replica/{path.removesuffix('/')}"
        upload = current_request().args.get("upload")
        wanted = UploadId.parse(upload) if upload else None
        return _answer(present, text, delete.replica(PublicPath.parse(text), wanted))

    @routes.route("/uploads/<upload>/keep", methods=["PUT", "DELETE"])
    def keep(upload: str) -> Response:
        is_kept = current_request().method == "PUT"
        return jsonify(present.upload(mark.set(UploadId.parse(upload), keep=is_kept)))

    @routes.route("/undo/<token>", methods=["GET", "POST", "DELETE"], endpoint="undo")
    def undo_upload(token: str) -> Response:
        asked = current_request()
        # Whoever reads the address in an access log could delete.
        asked.environ |= dict.fromkeys(("RAW_URI", "REQUEST_URI", "PATH_INFO"), "/undo/-")
        wanted = undo.read(token)
        if asked.method in {"GET", "HEAD"}:
            page = render_template("undo.html", record=mark.look(wanted))
            return _secret(Response(page))
        freed = delete.upload(wanted)
        if asked.prefers_html:
            sentence = f"The upload is gone; {show_size(freed.bytes_freed)} were freed."
            return _secret(Response(render_template("undone.html", sentence=sentence)))
        return _secret(_answer(present, wanted.directory, freed))

    return routes


def _upload_at(path: str) -> UploadId:
    """The upload whose directory this is. Raises `NotDeletable` or `NameNotFound`."""
    parts = PublicPath.parse(path).parts
    if _DAY.fullmatch(path):
        raise NotDeletable("A day is no upload; delete its uploads one by one.")
    if len(parts) < 5:
        raise NameNotFound(path)
    upload = UploadId.parse(parts[4])
    if path != upload.directory:
        raise NotDeletable(f"This is a part of an upload; only all of {upload.directory} can go.")
    return upload


def _deleted(present: Presenter, delete: Delete, upload: UploadId) -> Response:
    return _answer(present, upload.directory, delete.upload(upload))


def _answer(present: Presenter, path: str, freed: Freed) -> Response:
    answer = jsonify(present.freed(path, freed))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _secret(answer: Response) -> Response:
    """For what is answered at an address that nobody else should learn."""
    answer.headers["Cache-Control"] = "no-store"
    # Not even our own log of the page's style sheet gets it. With "no-referrer" browsers would send
    # the form with "Origin: null", as another site's (https://fetch.spec.whatwg.org/, 3.2).
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer
