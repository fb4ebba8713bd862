"""``/tus/``: resumable uploads (https://tus.io/protocols/resumable-upload, version 1.0)."""

from __future__ import annotations

from email.utils import format_datetime

from flask import Blueprint, Response, jsonify, url_for

from httpbucket.domain import tus
from httpbucket.domain.digest import Digest
from httpbucket.domain.partial import PartialId
from httpbucket.services.pieces import Piece
from httpbucket.services.replicate import META_PREFIX
from httpbucket.services.resume import CHECKSUM, Progress, Resume
from httpbucket.web.current import current_request
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import BucketRequest, refuse_coded
from httpbucket.web.sent_digests import digests_in_head, digests_of_body, digests_of_whole

_PIECE_TYPE = "application/offset+octet-stream"


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
        has_piece = asked.mimetype == _PIECE_TYPE
        if asked.has_body:
            _require_piece(asked)
        length = tus.parse_count("Upload-Length", asked.headers.get("Upload-Length", ""))
        metadata = asked.headers.get("Upload-Metadata", "")
        piece = _piece(asked, 0, digests_of_body(asked.headers))
        upload = resume.create(length, said=_said(asked, metadata, resume), metadata=metadata)
        progress = resume.append(upload, piece) if has_piece or not length else None
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
        piece = _piece(asked, offset, digests_in_head(asked, is_raw=True))
        progress = resume.append(PartialId.parse(upload), piece)
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
    routes.before_request(_know_raw_body)
    routes.after_request(_say_version)
    return routes


def _said(asked: BucketRequest, metadata: str, resume: Resume) -> dict[str, str]:
    """What the client says of the upload: in headers, query and metadata, which win."""
    said = asked.chosen(resume.headers) | _known(tus.parse_metadata(metadata), resume)
    digests = (said.get(CHECKSUM, ""), *map(str, digests_of_whole(asked)))
    return said | {CHECKSUM: ",".join(filter(None, digests))}


def _known(metadata: dict[str, str], resume: Resume) -> dict[str, str]:
    """Of what the client says only what means something here is kept."""
    names = {name for name in metadata if name.startswith(META_PREFIX)} | {*resume.headers}
    return {name: value for name, value in metadata.items() if name in names and value.strip()}


def _piece(asked: BucketRequest, offset: int, digests: tuple[Digest, ...]) -> Piece:
    refuse_coded(asked)
    text = asked.headers.get("Upload-Checksum", "")
    return Piece(
        offset,
        asked.pieces(),
        expected=(tus.parse_checksum(text), *digests) if text else digests,
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
        answer = jsonify(receipts.shown(asked.base, progress.receipt))
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


def _know_raw_body() -> None:
    """No body here is a form, whatever its type says."""
    current_request().is_raw = True


def _say_version(answer: Response) -> Response:
    answer.headers["Tus-Resumable"] = tus.VERSION
    if answer.status_code == 412:
        answer.headers["Tus-Version"] = tus.VERSION
    return answer
