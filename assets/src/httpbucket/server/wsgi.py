"""The WSGI application for gunicorn: the only module that does something by being imported."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from httpbucket.config import Settings
from httpbucket.server.bodies import HonestBodies
from httpbucket.server.duties import Duties
from httpbucket.web.app import create_app
from httpbucket.web.undo import Undo
from httpbucket.wiring import build, open_local

settings = Settings.from_environ(os.environ)
stores = open_local(settings)
services = build(settings, stores)
duties = Duties(stores, services)
application = HonestBodies(
    create_app(
        settings,
        ingest=services.ingest,
        lookup=services.lookup,
        browse=services.browse,
        pack=services.pack,
        searching=services.searching,
        delete=services.delete,
        mark=services.mark,
        undo=Undo(stores.secret, seconds=settings.undo_seconds, now=lambda: datetime.now(UTC)),
    ),
    idle_seconds=settings.body_idle_seconds,
)
