"""How a client is told what was kept: JSON for programs, the upload's page for browsers."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, jsonify, url_for

from httpbucket.domain.upload import Receipt
from httpbucket.services.undo import Undo
from httpbucket.web.addresses import Addresses
from httpbucket.web.presenters import Presenter
from httpbucket.web.request import BucketRequest


@dataclass(frozen=True)
class Receipts:
    """Answers every way in alike."""

    present: Presenter
    undo: Undo
    addresses: Addresses

    def answer(self, asked: BucketRequest, receipt: Receipt) -> Response:
        """200 and the receipt; a browser without JavaScript is sent on to the upload's page."""
        if asked.prefers_html:
            page = url_for("uploads.show", upload=str(receipt.record.id))
            return Response(status=303, headers={"Location": page})
        answer = self.present.receipt(receipt)
        if token := self.undo.token(receipt.record.id):
            answer["undo"] = self.addresses.absolute(f"undo/{token}")
        return jsonify(answer)
