"""A store is not made around another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpbucket.domain.errors import UnusableStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.opening import open_store


def test_a_directory_whose_archive_is_a_store_is_refused(tmp_path: Path) -> None:
    open_store(Layout(tmp_path / "archive"), Disk())
    with pytest.raises(UnusableStore, match="holds another store") as refusal:
        open_store(Layout(tmp_path), Disk())
    assert f"{tmp_path}/archive; name that one" in str(refusal.value)
    assert not (tmp_path / "private").exists()
