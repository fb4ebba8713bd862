"""The one table from what went wrong to what HTTP says of it."""

from __future__ import annotations

import errno
import logging
import os
from http import HTTPStatus

from flask import Flask, Response, jsonify, render_template
from werkzeug.exceptions import (
    BadHost,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
)

from httpbucket.domain import errors, partial, tus, unpacking
from httpbucket.web.answer_form import AnswerForm
from httpbucket.web.current import current_request
from httpbucket.web.seldom import SeldomLog

logger = logging.getLogger(__name__)
seldom = SeldomLog(logger)

#: What the system may say wherever a file is read or made; beyond the ports, in a template's say.
_UNAVAILABLE = {errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS, errno.ESTALE}

#: tus has a status of its own for a piece that is not what its checksum says.
CHECKSUM_MISMATCH = 460

STATUSES: dict[type[errors.BucketError], int] = {
    errors.InvalidDigest: HTTPStatus.BAD_REQUEST,
    errors.DigestMismatch: HTTPStatus.BAD_REQUEST,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidKey: HTTPStatus.BAD_REQUEST,
    errors.InvalidPath: HTTPStatus.BAD_REQUEST,
    errors.InvalidFormat: HTTPStatus.BAD_REQUEST,
    errors.MissingFile: HTTPStatus.BAD_REQUEST,
    errors.EmptyFilename: HTTPStatus.BAD_REQUEST,
    errors.SeveralFiles: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsafePath: HTTPStatus.BAD_REQUEST,
    errors.MalformedBody: HTTPStatus.BAD_REQUEST,
    errors.MalformedChecksums: HTTPStatus.BAD_REQUEST,
    errors.TooManyChecksums: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.IncompleteBody: HTTPStatus.BAD_REQUEST,
    errors.PartialBody: HTTPStatus.BAD_REQUEST,
    errors.ClientGone: HTTPStatus.BAD_REQUEST,
    unpacking.InvalidWish: HTTPStatus.BAD_REQUEST,
    unpacking.CannotUnpack: HTTPStatus.UNPROCESSABLE_ENTITY,
    unpacking.LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.InvalidRetention: HTTPStatus.BAD_REQUEST,
    errors.CrossSite: HTTPStatus.FORBIDDEN,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.InvalidUndo: HTTPStatus.FORBIDDEN,
    errors.NotDeletable: HTTPStatus.CONFLICT,
    errors.KeptUpload: HTTPStatus.CONFLICT,
    errors.BlobNotFound: HTTPStatus.NOT_FOUND,
    errors.UploadNotFound: HTTPStatus.NOT_FOUND,
    errors.NameNotFound: HTTPStatus.NOT_FOUND,
    errors.PendingTreeNotFound: HTTPStatus.NOT_FOUND,
    partial.PartialNotFound: HTTPStatus.NOT_FOUND,
    partial.PartialBusy: HTTPStatus.LOCKED,
    partial.OffsetMismatch: HTTPStatus.CONFLICT,
    partial.PieceMismatch: CHECKSUM_MISMATCH,
    tus.InvalidTusRequest: HTTPStatus.BAD_REQUEST,
    tus.UnsupportedTusVersion: HTTPStatus.PRECONDITION_FAILED,
    tus.UnsupportedPieceType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooManyFiles: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SlowBody: HTTPStatus.REQUEST_TIMEOUT,
    errors.AmbiguousDigest: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedCoding: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.DamagedRecord: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.IndexNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
}

#: Problems that HTTP itself knows; the short names are ours.
HTTP_PROBLEMS = {
    HTTPStatus.BAD_REQUEST: "bad-request",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.PRECONDITION_FAILED: "precondition-failed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-many-parts",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "range-not-satisfiable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal-error",
}

#: When to ask again, in seconds (RFC 9110, 10.2.3).
_RETRY_AFTER: dict[int, str] = {
    HTTPStatus.LOCKED: "5",
    HTTPStatus.SERVICE_UNAVAILABLE: "5",
    HTTPStatus.INSUFFICIENT_STORAGE: "60",
}


def status_of(kind: type[errors.BucketError]) -> int:
    """The status of a refusal, by its own class or the nearest that the table has."""
    return next(STATUSES[parent] for parent in kind.__mro__ if parent in STATUSES)


def phrase_of(status: int) -> str:
    """The words for a status, in lower case."""
    is_ours = status == CHECKSUM_MISMATCH
    return "checksum mismatch" if is_ours else HTTPStatus(status).phrase.lower()


def register(app: Flask) -> None:
    """Answer every refusal in one form: JSON for programs, the same as a page for browsers."""
    app.register_error_handler(errors.BucketError, _refused)
    app.register_error_handler(HTTPException, _refused_by_http)
    app.register_error_handler(Exception, _unexpected)


def refuse_bad_host() -> None:
    """Called before each request. Raises BadHost."""
    if error := current_request().bad_host:
        raise error


def _refused(error: errors.BucketError) -> Response:
    status = status_of(type(error))
    if status in _RETRY_AFTER:
        # What ends by itself or by an operator's hand, and meanwhile meets every request.
        seldom.warning(f"Answered {status:d}: {error}")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("Answered %d: %s", status, error, exc_info=error.__cause__)
    return _answer(status, str(error), error.problem, error.detail)


def _refused_by_http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    status = HTTPStatus(error.code)
    problem = HTTP_PROBLEMS.get(status, status.phrase.lower().replace(" ", "-"))
    answer = _answer(status, _sentence_on(error, status), problem, {})
    for name, value in error.get_headers():
        if name.lower() in {"allow", "content-range"}:
            answer.headers[name] = value
    return answer


def _sentence_on(error: HTTPException, status: HTTPStatus) -> str:
    """Werkzeug's own words for these ask to check a spelling, or leave out what would do."""
    if type(error) is NotFound:
        return (
            "There is nothing at this address. Send files to POST /upload, "
            "and ask for kept ones at /checksum/<digest>."
        )
    if isinstance(error, BadHost):
        return "The host of this request is none: between its dots there are 1 to 63 characters."
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return f"This address takes only {allowed}; files are sent with POST to /upload."
    return error.description or status.description


def _unexpected(error: Exception) -> Response | HTTPException:
    if isinstance(error, OSError) and error.errno in _UNAVAILABLE:
        reason = os.strerror(error.errno).lower()
        return _refused(errors.StorageUnavailable(f"The server cannot do this now: {reason}."))
    logger.error("Unexpected", exc_info=error)
    return _refused_by_http(
        InternalServerError("Something went wrong in the server; its log tells what.")
    )


def _answer(status: int, sentence: str, problem: str, detail: dict[str, object]) -> Response:
    fields = {
        "status": phrase_of(status),
        "code": int(status),
        "error": sentence,
        "problem": problem,
        "detail": detail,
    }
    answer = _in_form(fields)
    answer.status_code = int(status)
    answer.headers["Cache-Control"] = "no-store"
    answer.vary.add("Accept")
    if status in _RETRY_AFTER:
        answer.headers["Retry-After"] = _RETRY_AFTER[status]
    return answer


def _in_form(fields: dict[str, object]) -> Response:
    """The refusal in the form that the client wants receipts in."""
    asked = current_request()
    code, problem = fields["code"], fields["problem"]
    match AnswerForm.of_refusal(asked):
        case AnswerForm.URL:
            line = f"{code} {problem}: {_in_one_line(str(fields['error']))}\n"
            return Response(line, mimetype="text/plain")
        case AnswerForm.ENV:
            # Whoever evaluates this unread gets no more than two values.
            lines = f"BUCKET_CODE={code}\nBUCKET_PROBLEM={problem}\n"
            return Response(lines, mimetype="text/x-env")
    if asked.prefers_html:
        return Response(render_template("error.html", **fields))
    return jsonify(fields)


def _in_one_line(sentence: str) -> str:
    return "".join(one if one.isprintable() else " " for one in sentence)
