"""``/tree``: directories that come as a list of digests, and then as what was missing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, url_for

from httpbucket.domain.checksum_file import read_checksum_file
from httpbucket.domain.errors import EmptyFilename, TooManyChecksums
from httpbucket.services.offer_tree import TreeAnswer
from httpbucket.services.product import Services
from httpbucket.services.terms import Terms
from httpbucket.web.answer_form import AnswerForm
from httpbucket.web.current import current_request
from httpbucket.web.raw_uploads import received_body
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import BucketRequest, receiving, refuse_coded
from httpbucket.web.sent_digests import digests_in_head
from httpbucket.web.terms import terms_of

#: 100,000 lines with paths of 250 bytes.
MOST_LIST_BYTES = 32 * 1024**2


def blueprint(*, services: Services, receipts: Receipts) -> Blueprint:
    """The routes by which trees come of which most is kept already."""
    routes = Blueprint("trees", __name__)
    offer_tree, members, ingest = services.offer_tree, services.members, services.ingest

    @routes.post("/tree")
    def offer() -> Response:
        asked = current_request()
        # curl --data-binary says that the body is a form.
        asked.is_raw = True
        refuse_coded(asked)
        AnswerForm.wished(asked)
        _require_in_bounds(asked.content_length or 0)
        name, terms = _name(asked), terms_of(asked, ingest)
        expected = digests_in_head(asked, is_raw=True)
        lines = list(_bounded(asked.pieces(expected=expected)))
        # What coreutils print: no algorithm goes before theirs.
        entries = read_checksum_file(lines, preferred="md5")
        return _told(asked, receipts, offer_tree.offer(name, entries, terms))

    @routes.get("/tree/<tree>")
    def look(tree: str) -> Response:
        return _final(current_request(), receipts, offer_tree.look(tree))

    @routes.route("/tree/<tree>", methods=["PUT", "POST"])
    def complete(tree: str) -> Response:
        asked = current_request()
        asked.is_raw = True
        with receiving(asked, members):
            archive = received_body(asked, digests_in_head(asked, is_raw=True))
            terms = Terms(is_gone=asked.is_client_gone)
            answer = offer_tree.complete(tree, archive, terms)
        return _final(asked, receipts, answer)

    return routes


def _name(asked: BucketRequest) -> str:
    name = asked.args.get("name", "")
    if not name.strip():
        raise EmptyFilename("The tree has no name; send the list to /tree?name=results.")
    return name


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        _require_in_bounds(size)
        yield piece


def _require_in_bounds(size: int) -> None:
    if size > MOST_LIST_BYTES:
        raise TooManyChecksums(f"The list is longer than {MOST_LIST_BYTES} bytes.")


def _told(asked: BucketRequest, receipts: Receipts, answer: TreeAnswer) -> Response:
    """The paths that are missing: none of a tree that is complete, so that scripts just go on."""
    response = _final(asked, receipts, answer) if _wants_json(asked) else _paths(answer)
    response.headers["Location"] = url_for("trees.look", tree=answer.id)
    if answer.receipt:
        upload = str(answer.receipt.record.id)
        response.headers["Content-Location"] = url_for("uploads.show", upload=upload)
    return response


def _final(asked: BucketRequest, receipts: Receipts, answer: TreeAnswer) -> Response:
    """The receipt, or the paths that are missing."""
    if answer.receipt:
        return receipts.answer(asked, answer.receipt)
    if not _wants_json(asked):
        return _paths(answer)
    status = HTTPStatus.ACCEPTED
    response = jsonify({"code": status, "status": status.phrase, "missing": answer.missing})
    response.status_code = status
    return response


def _paths(answer: TreeAnswer) -> Response:
    """A path a line, as ``tar -T`` reads them; none begins like an option."""
    plain = (f"./{path}" if path.startswith("-") else path for path in answer.missing)
    lines = (os.fsencode(path) + b"\n" for path in plain)
    status = HTTPStatus.ACCEPTED if answer.missing else HTTPStatus.OK
    return Response(b"".join(lines), status=status, mimetype="text/plain")


def _wants_json(asked: BucketRequest) -> bool:
    accepted = asked.accept_mimetypes
    return accepted.quality("application/json") > accepted.quality("text/plain")
