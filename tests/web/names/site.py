"""The whole application on a store of its own, asked without a network: `Site`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from werkzeug.test import Client, TestResponse

from httpbucket.config import Settings
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record
from httpbucket.services.product import Services
from httpbucket.web.app import create_app
from httpbucket.wiring import Stores, build
from tests.backends import local_backend, memory_backend

ENVIRON = {"REPLICATE_0": "user/${USERNAME}", "FSYNC": "off"}


@dataclass
class Site:
    """A client of our own application; ``root`` is the store of the local backend."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    in_memory: bool = False
    stores: Stores = field(init=False)
    services: Services = field(init=False)
    client: Client = field(init=False)

    def uploads(self) -> tuple[Record, ...]:
        """The uploads, newest first; a hundred at most."""
        return self.services.searching.find(UploadFilter(), limit=100).records

    def __post_init__(self) -> None:
        backend = memory_backend() if self.in_memory else local_backend(self.root)
        settings = Settings.from_environ({**ENVIRON, **self.environ})
        self.stores = backend.stores
        self.services = build(settings, self.stores)
        self.services.reindex.catch_up()
        app = create_app(settings, self.services)
        self.client = Client(app)

    def close(self) -> None:
        """Let go of the index."""
        self.stores.index.close()

    def upload(
        self, content: bytes, filename: str = "results.xml", **headers: str
    ) -> dict[str, Any]:
        """Upload, and return the receipt."""
        form = {"file": (BytesIO(content), filename)}
        with self.client.post("/upload", data=form, headers=headers) as answer:
            assert answer.status_code == 200, answer.get_data()
            receipt: dict[str, Any] = json.loads(answer.get_data())
        return receipt

    def directory(self, receipt: Mapping[str, Any]) -> str:
        """The path of an upload's directory, with a slash at its end."""
        return f"/{receipt['path']['upload']}/"

    def get(self, path: str, method: str = "GET", **headers: str) -> TestResponse:
        """The answer, read to its end."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.open(path, method=method, headers=named)
        answer.get_data()
        answer.close()
        return answer
