"""How a client is told what was kept: as JSON, as lines for shells, or as the upload's page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify, url_for

from httpbucket.domain.upload import Receipt, Record
from httpbucket.services.undo import Undo
from httpbucket.web.answer_form import AnswerForm
from httpbucket.web.presenters import Presenter
from httpbucket.web.request import BucketRequest

# No shell takes these for anything but themselves in an assignment, and none ends a line.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9/:.%@,+=?_\[\]-]")


@dataclass(frozen=True)
class Receipts:
    """Answers every way in alike."""

    present: Presenter
    undo: Undo

    def answer(self, asked: BucketRequest, *receipts: Receipt) -> Response:
        """200 and the receipt; of several files that of the first, and all of them in ``uploads``.

        A browser without JavaScript is sent on to the upload's page, or to the newest uploads.
        """
        form, first = AnswerForm.wished(asked), receipts[0].record
        if form is AnswerForm.URL:
            answer = _text("".join(f"{self._address(asked, one.record)}\n" for one in receipts))
        elif form is AnswerForm.ENV:
            answer = _text(self._variables(asked, first), "text/x-env")
        elif asked.prefers_html and "format" not in asked.args:
            answer = Response(status=303, headers={"Location": _page_for(receipts)})
        else:
            shown = [self.shown(asked.base, one) for one in receipts]
            answer = jsonify(shown[0] | ({"uploads": shown} if len(shown) > 1 else {}))
        answer.vary.add("Accept")
        return answer

    def shown(self, base: str, receipt: Receipt) -> dict[str, Any]:
        """The receipt as JSON, for who reaches us at ``base``."""
        shown = with_page(base, self.present.receipt(receipt))
        token = self.undo.token(receipt)
        return shown | ({"undo": f"{base}/undo/{token}"} if token else {})

    def _address(self, asked: BucketRequest, record: Record) -> str:
        """Where the upload's file, or its tree, can be had."""
        path = record.path_of(record.name)
        return self.present.address(path) or asked.address_of(path)

    def _variables(self, asked: BucketRequest, record: Record) -> str:
        """Lines for ``eval`` and for files such as ``$GITHUB_OUTPUT``: no value needs quotes."""
        values = {
            "BUCKET_SHA256": record.uploaded.blob.sha256.hex if record.uploaded else "",
            "BUCKET_URL": self._address(asked, record),
            "BUCKET_UPLOAD": str(record.id),
            "BUCKET_PAGE": page_of(asked.base, str(record.id)),
        }
        return "".join(f"{name}={plain(value)}\n" for name, value in values.items())


def _page_for(receipts: Sequence[Receipt]) -> str:
    if len(receipts) > 1:
        return url_for("search.uploads")
    return url_for("uploads.show", upload=str(receipts[0].record.id))


def plain(text: str) -> str:
    """``text`` with everything percent-encoded that a shell might take for its own.

    >>> plain("http://host/a%20b.txt"), plain("/$(reboot);~")
    ('http://host/a%20b.txt', '/%24%28reboot%29%3B%7E')
    """
    return _NOT_PLAIN.sub(lambda match: _encoded(match[0]), text)


def page_of(base: str, upload: str) -> str:
    """The address of an upload's page, below that of the server."""
    return f"{base}/uploads/{upload}"


def with_page(base: str, shown: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an upload, with the address of its page."""
    page = page_of(base, shown["upload"]["id"])
    return shown | {"upload": shown["upload"] | {"page": page}}


def _text(text: str, kind: str = "text/plain") -> Response:
    return Response(text, content_type=f"{kind}; charset=utf-8")


def _encoded(character: str) -> str:
    # ``quote`` leaves the tilde, which shells expand behind a colon.
    return quote(character, safe="").replace("~", "%7E")
