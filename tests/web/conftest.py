"""The application on the memory backend, and a client that speaks HTTP's edge cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from httpbucket.config import Settings
from httpbucket.web.app import create_app
from httpbucket.wiring import Stores, build
from tests.backends import memory_backend
from tests.examples import NOW

LIMIT = 4096


@dataclass(frozen=True)
class Site:
    """An application and what is behind it."""

    settings: Settings
    stores: Stores
    app: Flask

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def rebuilt(self, stores: Stores) -> Site:
        """The same site on other stores."""
        return site_on(self.settings, stores)


def site_on(
    settings: Settings, stores: Stores, *, now: Callable[[], datetime] = lambda: NOW
) -> Site:
    """An application on these stores."""
    services = build(settings, stores, now=now)
    app = create_app(settings, services)
    return Site(settings, stores, app)


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    """Builds applications with settings of their own; what one leaves staged fails the test."""
    backends = []

    def make(**environ: str) -> Site:
        defaults = {"ARCHIVE_DIR": str(tmp_path / "store"), "MAX_CONTENT_LENGTH": str(LIMIT)}
        settings = Settings.from_environ(defaults | environ)
        backend = memory_backend()
        backends.append(backend)
        backend.stores.index.mark_complete(agreed_day="")
        return site_on(settings, backend.stores)

    yield make
    for backend in backends:
        assert backend.staged() == []


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.client
