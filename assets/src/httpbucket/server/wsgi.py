"""The WSGI application for gunicorn: the only module that does something by being imported."""

from __future__ import annotations

import os

from httpbucket.config import Settings
from httpbucket.server.bodies import HonestBodies
from httpbucket.server.duties import Duties
from httpbucket.server.housekeeping import Housekeeping
from httpbucket.server.places import Places
from httpbucket.web.app import create_app
from httpbucket.web.presenters import Presenter
from httpbucket.web.quick_head import QuickHead
from httpbucket.web.quick_upload import QuickUpload
from httpbucket.web.receipts import Receipts
from httpbucket.wiring import build, open_local

settings = Settings.from_environ(os.environ)
stores = open_local(settings)
services = build(settings, stores)
duties = Duties(stores, services)
housekeeping = Housekeeping(settings, stores, services)
app = create_app(settings, services)
places = Places(settings.threads)
application = HonestBodies(
    app,
    idle_seconds=settings.body_idle_seconds,
    least_rate=settings.body_min_rate,
    places=places,
    straight=settings.fast_bodies,
)
quick_head = QuickHead(app, services.quick_ask, checksum_type=settings.checksum_type)
quick_upload = QuickUpload(
    app,
    services.ingest,
    Receipts(Presenter(settings), services.undo),
    public_url=str(settings.public_url or ""),
)
