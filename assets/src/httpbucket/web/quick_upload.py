"""Uploads of one small file without Flask, with the answers that Flask gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response

from httpbucket.domain.upload import Receipt
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.services.terms import Terms
from httpbucket.web.quick_head import HeadAnswer, made_by
from httpbucket.web.receipts import Receipts

_LENGTH = "Content-Length"


@dataclass(frozen=True, slots=True)
class PlainUpload:
    """All that a client says with one file.

    ``filename`` is one that stays as it is; ``headers``, by name in lower case, are those that
    `Terms` should hold.
    """

    host: str
    filename: str
    content: bytes
    headers: Mapping[str, str]
    is_gone: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class UploadAnswer:
    """What is said first, and the body."""

    head: HeadAnswer
    body: bytes


class QuickUpload:
    """Keeps files as the view of ``/upload`` does, and answers the same.

    The application makes the head of a receipt's answer once, and all that is to be said of what
    went wrong. ``public_url`` is where the operator says that the server is reached.
    """

    def __init__(self, app: Flask, ingest: Ingest, receipts: Receipts, *, public_url: str) -> None:
        self._app = app
        self._ingest = ingest
        self._receipts = receipts
        self._public_url = public_url
        receipt = Response("{}", mimetype="application/json")
        receipt.vary.add("Accept")
        head, _ = made_by(app, receipt, "/upload", method="POST")
        self._status = head.status
        self._before, self._after = _around_length(head.headers)

    @property
    def headers(self) -> tuple[str, ...]:
        """As `Ingest.headers`."""
        return self._ingest.headers

    def answer(self, upload: PlainUpload) -> UploadAnswer:
        """Keep the file, and say so; or say why not."""
        try:
            return self._answer(self._keep(upload), upload.host)
        except Exception as error:  # the application has an answer to each
            return self._refusal(upload, error)

    def _answer(self, receipt: Receipt, host: str) -> UploadAnswer:
        base = self._public_url or f"http://{host}"
        # As `jsonify` does it.
        body = f"{self._app.json.dumps(self._receipts.shown(base, receipt), indent=2)}\n".encode()
        length = (_LENGTH, str(len(body)))
        return UploadAnswer(HeadAnswer(self._status, (*self._before, length, *self._after)), body)

    def _keep(self, upload: PlainUpload) -> Receipt:
        act, size = self._ingest.begin(), len(upload.content)
        try:
            act.expect(size)
            act.reserve(size)
            incoming = act.new_file()
            incoming.write(upload.content)
            terms = Terms(headers=upload.headers, is_gone=upload.is_gone)
            return self._ingest.keep(Offer(incoming, upload.filename), terms)
        finally:
            act.close()

    def _refusal(self, upload: PlainUpload, error: Exception) -> UploadAnswer:
        base_url = f"http://{upload.host}"
        return UploadAnswer(*made_by(self._app, error, "/upload", method="POST", base_url=base_url))


def _around_length(
    headers: tuple[tuple[str, str], ...],
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """What comes before and after the length of the body."""
    names = [name for name, _ in headers]
    place = names.index(_LENGTH)
    return headers[:place], headers[place + 1 :]
