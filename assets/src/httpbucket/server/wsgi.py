"""The WSGI application for gunicorn: the only module that does something by being imported."""

from __future__ import annotations

import os

from httpbucket.config import Settings
from httpbucket.server.bodies import HonestBodies
from httpbucket.server.duties import Duties
from httpbucket.web.app import create_app
from httpbucket.wiring import build, open_local

settings = Settings.from_environ(os.environ)
stores = open_local(settings)
services = build(settings, stores)
duties = Duties(stores, services)
application = HonestBodies(
    create_app(settings, services),
    idle_seconds=settings.body_idle_seconds,
)
