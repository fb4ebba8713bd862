"""How gunicorn runs the server. GUNICORN_CMD_ARGS overrides every line.

Each name is a setting of gunicorn's (https://docs.gunicorn.org/en/stable/settings.html).
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from httpbucket.config import Settings
from httpbucket.server.learning import Learner
from httpbucket.server.plain_head import PlainHead, why_not
from httpbucket.server.plain_upload import PlainUploads, why_not_headers
from httpbucket.server.quick_worker import QuickWorker
from httpbucket.server.remembered import Remembered
from httpbucket.server.tested_gunicorn import untested_version
from httpbucket.server.unsent import bound_unsent
from httpbucket.server.worker import PatientWorker
from httpbucket.web.sent import SendAgain

_settings = Settings.from_environ(os.environ)
_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host

wsgi_app = "httpbucket.server.wsgi:application"
bind = [f"{_host}:{port}" for port in _settings.ports]

# Threads ("gthread"), because an upload waits for its client most of the time. A worker of this
# class lives as long as its main thread answers, however long an upload takes; "sync" workers would
# be killed in the middle of one.
worker_class = "httpbucket.server.quick_worker.QuickWorker"
workers = _settings.workers
threads = _settings.threads
timeout = 60

# On SIGTERM uploads in flight may finish for so long.
graceful_timeout = 120

# Producers ask and send in turn on one connection.
keepalive = 30
worker_connections = 1000

# A second server on the same port would take half of the connections, silently.
reuse_port = False

# No way in beside the port.
control_socket_disable = True

# gunicorn believes every peer on this machine about the scheme, and about a prefix in a header
# SCRIPT_NAME. Which proxies are believed is for TRUSTED_PROXIES alone to say.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# Filenames of 180 bytes take 540 in a URL.
limit_request_line = 8190

# Heartbeats in memory: on a busy disk they could come late and have a worker killed.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# The development server is this one, with an eye on the code.
reload = _settings.development

proc_name = "http-bucket"


#: The signals that end a worker.
_ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def on_starting(server: Any) -> None:
    """Have the garbage collector pass over what was imported, in the workers too.

    It lives as long as they do. Looking at it writes into its pages, which are shared until then,
    and at the end of three processes it took a third of the processor time of a start and a stop.
    """
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Note where signals go meanwhile; in development, import the code as it is now.

    The parent has imported most of it before the first fork, and every worker inherits that.
    """
    worker.signals_before = server.SIG_QUEUE
    if _settings.development:
        for name in [name for name in sys.modules if name.partition(".")[0] == "httpbucket"]:
            del sys.modules[name]


def post_worker_init(worker: Any) -> None:
    """Start what this process needs besides, once the application is loaded in it."""
    _end_alike_on_every_signal(worker)
    _end_if_told_before(worker)
    from httpbucket.server import archive_uri, wsgi  # noqa: PLC0415

    for listener in worker.sockets:
        bound_unsent(listener)
    if isinstance(worker, PatientWorker):
        worker.head_seconds = min(worker.head_seconds, _settings.body_idle_seconds)
        worker.places = wsgi.places
    _tell_of_untested_gunicorn(worker)
    # The origin of contents answers no questions; telling it apart is the application's.
    # So is telling who may ask.
    is_plain = (
        _settings.fast_head and _settings.content_origin is None and "read" in _settings.anonymous
    )
    if isinstance(worker, QuickWorker) and wsgi.stores.quick_index:
        worker.one_moment = wsgi.stores.quick_index.one_moment
    if isinstance(worker, QuickWorker) and is_plain:
        _answer_plain_heads(worker)
    if isinstance(worker, QuickWorker) and _settings.fast_get:
        _remember_answers(worker)
    is_open = _settings.content_origin is None and "upload" in _settings.anonymous
    if isinstance(worker, QuickWorker) and _settings.fast_upload and is_open:
        _keep_plain_uploads(worker)
    wsgi.duties.start()
    wsgi.housekeeping.start()
    if worker.age == 1:
        # The first worker looks for all of them. Not the parent: it forks, and has no threads.
        archive_uri.look_in_background(_settings.archive_uri)


def _tell_of_untested_gunicorn(worker: Any) -> None:
    if version := untested_version():
        worker.log.warning(
            "gunicorn %s was not tested: bodies are read as it does it, without BODY_MIN_RATE.",
            version,
        )


def _answer_plain_heads(worker: QuickWorker) -> None:
    from httpbucket.server import wsgi  # noqa: PLC0415

    if reason := why_not(worker.cfg):
        worker.log.info("Every HEAD is answered by the application: %s.", reason)
    else:
        worker.plain_head = PlainHead(wsgi.quick_head.answers, worker.cfg)


def _remember_answers(worker: QuickWorker) -> None:
    from httpbucket.server import wsgi  # noqa: PLC0415

    if reason := why_not(worker.cfg):
        worker.log.info("Every download is answered by the application: %s.", reason)
    elif wsgi.services.see_again:
        worker.remembered = Remembered(SendAgain(wsgi.services.see_again))
        worker.wsgi = worker.learner = Learner(worker.wsgi)


def _keep_plain_uploads(worker: QuickWorker) -> None:
    from httpbucket.server import wsgi  # noqa: PLC0415

    wanted = wsgi.quick_upload.headers
    if reason := why_not(worker.cfg) or why_not_headers(wanted):
        worker.log.info("Every upload goes through the application: %s.", reason)
    else:
        worker.plain_uploads = PlainUploads(
            wsgi.quick_upload.answer,
            worker.cfg,
            wanted=wanted,
            most_body_bytes=_settings.max_content_length,
        )


def _end_alike_on_every_signal(worker: Any) -> None:
    """Let SIGINT and SIGQUIT end a worker as SIGTERM does.

    gunicorn's own handler of these two shuts the thread pool down within the signal; where that
    comes while the same thread is giving the pool work, both wait for one lock, until the parent
    kills the worker at the end of ``graceful_timeout`` (one stop in 25 under load). It does not
    end threads that are at work either.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, worker.handle_exit)


def _end_if_told_before(worker: Any) -> None:
    """End at once if that was asked for while the worker had the parent's handlers of signals.

    These only note a signal, for a loop that runs in the parent alone. A worker that was told to
    end then would live on until it is killed at the end of ``graceful_timeout``: two stops in 25,
    each right after a start on a busy machine.
    """
    with suppress(queue.Empty):
        while True:
            if worker.signals_before.get_nowait() in _ENDS:
                worker.alive = False
