"""Any bytes under any name come back as they were sent."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import descriptor
from tests.web.forms import BOUNDARY, part, post


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    content=st.binary(max_size=4096).filter(lambda content: BOUNDARY.encode() not in content),
    name=st.text(min_size=1, max_size=300),
)
def test_any_bytes_under_any_name_come_back(client: FlaskClient, content: bytes, name: str) -> None:
    disposition = f"name=\"file\"; filename*=UTF-8''{quote(name, safe='')}"
    response = post(client, part(content, disposition=disposition))
    assert response.status_code == 200
    receipt = response.get_json()
    kept = receipt["upload"]["filename"]
    assert receipt["upload"]["digests"] == descriptor(content).digests
    assert kept == unicodedata.normalize("NFC", kept)
    assert not {"/", "\\", "\0", "\n"} & set(kept)
    assert 0 < len(kept.encode()) <= 255
    assert client.head(f"/checksum/{receipt['checksum']['blob']}").status_code == 200
    answer = client.get("/" + receipt["path"]["blob"])
    assert answer.data == content
    assert answer.headers["Content-Disposition"].isascii()
