"""How a client is told what was kept: JSON for programs, the upload's page for browsers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, jsonify, url_for

from httpbucket.domain.upload import Receipt
from httpbucket.web.presenters import Presenter
from httpbucket.web.request import BucketRequest


@dataclass(frozen=True)
class Receipts:
    """Answers every way in alike."""

    present: Presenter

    def answer(self, asked: BucketRequest, *receipts: Receipt) -> Response:
        """200 and the receipt; of several files that of the first, and all of them in ``uploads``.

        A browser without JavaScript is sent on to the upload's page, or to the newest uploads.
        """
        if asked.prefers_html:
            return Response(status=303, headers={"Location": _page_of(receipts)})
        shown = [self.present.receipt(receipt) for receipt in receipts]
        return jsonify(shown[0] | ({"uploads": shown} if len(shown) > 1 else {}))


def _page_of(receipts: Sequence[Receipt]) -> str:
    if len(receipts) > 1:
        return url_for("search.uploads")
    return url_for("uploads.show", upload=str(receipts[0].record.id))
