"""A member of a known tree that is gone from the disk comes back with the next upload."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.upload import Receipt
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import local_backend
from tests.examples import identity
from tests.services.archives import MEMBERS, TAR, TGZ, ZIP
from tests.uploading import upload_file

LOST = identity(MEMBERS["report/index.html"])


def upload(stores: Stores, content: bytes) -> Receipt:
    ingest = build(Settings.from_environ({}), stores).ingest
    return upload_file(ingest, content, "a.tgz")


@pytest.mark.parametrize("content", [TGZ, TAR, ZIP], ids=["tgz", "tar", "zip"])
def test_what_is_gone_is_unpacked_anew(tmp_path: Path, content: bytes) -> None:
    backend = local_backend(tmp_path)
    upload(backend.stores, content)
    lost = Layout(tmp_path).blob(LOST)
    lost.unlink()
    receipt = upload(backend.stores, content)
    assert lost.exists()
    assert receipt.record.tree is not None
    tree = tmp_path / receipt.record.id.directory / receipt.record.tree.name
    found = {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == MEMBERS
    assert len(list(backend.stores.records.ids())) == 2
    assert backend.staged() == []
    assert "Unpacked before; that tree is used again." not in receipt.log
    again = upload(backend.stores, content)
    assert "Unpacked before; that tree is used again." in again.log
    backend.stores.index.close()
