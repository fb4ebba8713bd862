"""The WSGI application for gunicorn: the only module that does something by being imported."""

from __future__ import annotations

import os

from httpbucket.config import Settings
from httpbucket.server.bodies import HonestBodies
from httpbucket.server.duties import Duties
from httpbucket.web.app import create_app
from httpbucket.web.quick_head import QuickHead
from httpbucket.wiring import build, open_local

settings = Settings.from_environ(os.environ)
stores = open_local(settings)
services = build(settings, stores)
duties = Duties(stores, services)
app = create_app(
    settings,
    ingest=services.ingest,
    lookup=services.lookup,
    browse=services.browse,
    pack=services.pack,
    searching=services.searching,
)
application = HonestBodies(app, idle_seconds=settings.body_idle_seconds)
quick_head = QuickHead(app, services.quick_lookup, checksum_type=settings.checksum_type)
