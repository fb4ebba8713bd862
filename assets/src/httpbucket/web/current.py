"""The request being answered, by its own type."""

from __future__ import annotations

from typing import cast

from flask import request

from httpbucket.web.request import BucketRequest


def current_request() -> BucketRequest:
    """Flask's request, which the app makes a `BucketRequest`."""
    # Itself, not Flask's proxy for it, which costs every use of it as much as a function call.
    return cast(BucketRequest, request._get_current_object())  # type: ignore[attr-defined]
