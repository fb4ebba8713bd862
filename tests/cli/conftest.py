"""A store on disk, and the verbs called on it as from a shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from httpbucket.cli.main import main
from httpbucket.config import Settings
from httpbucket.domain.upload import Record
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import build, open_local
from tests.uploading import upload_file


@dataclass(frozen=True)
class Ended:
    """How a call ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


class Store:
    """A store of files that `upload` keeps; `call` runs a verb on it in this process."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.layout = Layout(root)
        self._patch = monkeypatch
        self._capsys = capsys
        self.environ = {"ARCHIVE_DIR": str(root), "REPLICATE_0": "user/${USERNAME}"}
        self.stores = open_local(Settings.from_environ(self.environ))
        self.services = build(Settings.from_environ(self.environ), self.stores)
        self.services.reindex.catch_up()

    def upload(self, content: bytes, filename: str = "a.txt", **terms: Any) -> Record:
        terms = {"headers": {"username": "bob"}} | terms
        return upload_file(self.services.ingest, content, filename, **terms).record

    def call(self, *arguments: str, **environ: str) -> Ended:
        """The verb with its flags, settings on top of the store's own."""
        self._capsys.readouterr()
        with self._patch.context() as patch:
            for name, text in (self.environ | environ).items():
                patch.setenv(name, text)
            status = main(arguments)
        captured = self._capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    def spoil(self, record: Record) -> None:
        """Flip a bit of the uploaded content, as a disk does."""
        assert record.uploaded
        path = self.layout.blob(record.uploaded.blob.sha256)
        content = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        path.chmod(0o444)


@pytest.fixture
def store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Store]:
    store = Store(tmp_path / "store", monkeypatch, capsys)
    yield store
    store.stores.index.close()
