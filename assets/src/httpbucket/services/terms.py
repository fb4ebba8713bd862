"""What clients say of their uploads beside the bytes, whatever way these come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from httpbucket.domain.unpacking import UnpackWish


@dataclass(frozen=True)
class Terms:
    """What a client says of the uploads that it makes, beside their bytes.

    ``headers``, by name in lower case, are what templates are filled with and the record keeps.
    ``days`` is for how long to keep them, None as the operator set it. Uploads that come again
    with their ``idempotency_key`` are not made a second time. ``is_gone`` is asked now and then
    whether the client has stopped waiting. ``received`` is when they came, None for now; how long
    they are kept counts from now all the same.
    """

    wish: UnpackWish = UnpackWish.AUTO
    headers: Mapping[str, str] = field(default_factory=dict)
    days: int | None = None
    is_gone: Callable[[], bool] = lambda: False
    idempotency_key: str | None = None
    received: datetime | None = None
