"""What a real server answers and writes has the fields and headers that the reference explains."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs.conftest import fetch
from tests.docs.pages import fields_below, reference
from tests.live.server import LiveServer

HTTP = reference("http")
_OF_GUNICORN = {"Server", "Date", "Connection"}


def test_the_reference_explains_receipts_records_the_configuration_and_headers(
    server: LiveServer,
) -> None:
    receipt = server.upload(b"<results/>", "results.xml")
    assert fields_below(HTTP, "Upload") == set(_fields(receipt))

    record = server.archive / receipt["path"]["upload"] / ".upload.json"
    written = json.loads(record.read_bytes())
    assert fields_below(reference("disk-layout"), "The record") == set(_fields(written))

    configuration = json.loads(fetch(f"{server.url}/config"))
    assert fields_below(HTTP, "Config") == set(_fields(configuration))

    holdings = json.loads(fetch(f"{server.url}/stats"))
    assert fields_below(HTTP, "Stats") == set(_fields(holdings))

    blob = f"{server.url}/blob/{receipt['upload']['digests']['sha256']}"
    with urllib.request.urlopen(blob, timeout=10) as answer:
        assert fields_below(HTTP, "Blob") == set(answer.headers) - _OF_GUNICORN


def _fields(value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of the values in a JSON object; digests by algorithm are one value."""
    for name, inner in value.items():
        if isinstance(inner, dict) and inner and name != "digests":
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
