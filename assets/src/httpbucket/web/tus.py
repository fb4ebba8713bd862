"""``/tus/``: resumable uploads (https://tus.io/protocols/resumable-upload, version 1.0)."""

from __future__ import annotations

from email.utils import format_datetime

from flask import Blueprint, Response, jsonify, url_for

from httpbucket.domain import tus
from httpbucket.domain.partial import PartialId
from httpbucket.services.pieces import Piece
from httpbucket.services.replicate import META_PREFIX
from httpbucket.services.resume import Progress, Resume
from httpbucket.web.current import current_request
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import BucketRequest, refuse_coded

_PIECE_TYPE = "application/offset+octet-stream"
_READ = 256 * 1024


def blueprint(*, resume: Resume, receipts: Receipts) -> Blueprint:
    """The routes of the protocol."""
    routes = Blueprint("tus", __name__, url_prefix="/tus")

    @routes.route("/", methods=["OPTIONS"], provide_automatic_options=False)
    @routes.route("/<upload>", methods=["OPTIONS"], provide_automatic_options=False)
    def options(upload: str = "") -> Response:
        headers = {
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(resume.max_content_length),
            "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUM_ALGORITHMS),
        }
        return Response(status=204, headers=headers)

    @routes.post("/", provide_automatic_options=False)
    def create() -> Response:
        asked = current_request()
        length = tus.parse_count("Upload-Length", asked.headers.get("Upload-Length", ""))
        metadata = asked.headers.get("Upload-Metadata", "")
        said = asked.chosen(resume.headers) | _known(tus.parse_metadata(metadata), resume)
        upload = resume.create(length, said=said, metadata=metadata)
        has_piece = asked.mimetype == _PIECE_TYPE
        progress = resume.append(upload, _piece(asked, 0)) if has_piece or not length else None
        answer = _answer(asked, progress or resume.look(upload), receipts)
        answer.status_code = 201
        answer.headers["Location"] = url_for("tus.look", upload=str(upload))
        return answer

    @routes.route("/<upload>", methods=["HEAD"], provide_automatic_options=False)
    def look(upload: str) -> Response:
        progress = resume.look(PartialId.parse(upload))
        answer = _answer(current_request(), progress, receipts)
        answer.headers["Upload-Length"] = str(progress.partial.length)
        if progress.partial.metadata:
            answer.headers["Upload-Metadata"] = progress.partial.metadata
        answer.status_code = 200
        return answer

    @routes.patch("/<upload>", provide_automatic_options=False)
    def append(upload: str) -> Response:
        asked = current_request()
        _require_piece(asked)
        offset = tus.parse_count("Upload-Offset", asked.headers.get("Upload-Offset", ""))
        progress = resume.append(PartialId.parse(upload), _piece(asked, offset))
        return _answer(asked, progress, receipts)

    @routes.delete("/<upload>", provide_automatic_options=False)
    def terminate(upload: str) -> Response:
        resume.terminate(PartialId.parse(upload))
        return Response(status=204)

    @routes.post("/<upload>", provide_automatic_options=False)
    def overridden(upload: str) -> Response:
        """For clients whose network lets only GET and POST through."""
        method = current_request().headers.get("X-HTTP-Method-Override", "").upper()
        views = {"PATCH": append, "DELETE": terminate, "HEAD": look}
        if method not in views:
            raise tus.InvalidTusRequest("POST here needs X-HTTP-Method-Override: PATCH or DELETE.")
        return views[method](upload)

    routes.before_request(_require_version)
    routes.after_request(_say_version)
    return routes


def _known(metadata: dict[str, str], resume: Resume) -> dict[str, str]:
    """Of what the client says only what means something here is kept."""
    names = {name for name in metadata if name.startswith(META_PREFIX)} | {*resume.headers}
    return {name: value for name, value in metadata.items() if name in names and value.strip()}


def _piece(asked: BucketRequest, offset: int) -> Piece:
    refuse_coded(asked)
    text = asked.headers.get("Upload-Checksum", "")
    return Piece(
        offset,
        iter(lambda: asked.stream.read(_READ), b""),
        checksum=tus.parse_checksum(text) if text else None,
        hang_up=asked.hang_up,
        is_gone=asked.is_client_gone,
    )


def _require_piece(asked: BucketRequest) -> None:
    if asked.mimetype != _PIECE_TYPE:
        raise tus.UnsupportedPieceType(f"A piece has the Content-Type {_PIECE_TYPE}.")


def _answer(asked: BucketRequest, progress: Progress, receipts: Receipts) -> Response:
    """204; who asks for JSON and sent the last piece gets the receipt."""
    answer = Response(status=204)
    if progress.receipt and "application/json" in asked.accept_mimetypes.values():
        answer = jsonify(receipts.shown(asked, progress.receipt))
    answer.headers["Upload-Offset"] = str(progress.offset)
    answer.headers["Cache-Control"] = "no-store"
    if progress.partial.upload:
        page = url_for("uploads.show", upload=str(progress.partial.upload))
        answer.headers["Content-Location"] = page
    else:
        answer.headers["Upload-Expires"] = format_datetime(progress.expires, usegmt=True)
    return answer


def _require_version() -> None:
    asked = current_request()
    said = asked.headers.get("Tus-Resumable", "")
    if asked.method != "OPTIONS" and said != tus.VERSION:
        raise tus.UnsupportedTusVersion(
            f"Tus-Resumable is {said[:20]!r}; expected {tus.VERSION}, the version spoken here."
        )


def _say_version(answer: Response) -> Response:
    answer.headers["Tus-Resumable"] = tus.VERSION
    if answer.status_code == 412:
        answer.headers["Tus-Version"] = tus.VERSION
    return answer
