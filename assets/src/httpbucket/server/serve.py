"""Starting gunicorn from within, so that what can be wrong is told in a sentence before."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication

from httpbucket.config import Settings
from httpbucket.domain.errors import UnusableAddress
from httpbucket.server import startup
from httpbucket.server.arenas import share_arenas
from httpbucket.wiring import build, open_local

#: As our systemd unit allows.
_DESCRIPTORS = 65_536

_CONFIGURATION = Path(__file__).with_name("gunicorn_conf.py")


def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `UnusableStore` or `UnusableAddress` before."""
    _allow_many_descriptors()
    share_arenas()
    startup.warn(settings)
    startup.warn_of_root(os.geteuid())
    stores = open_local(settings)
    startup.warn_of_store(settings)
    startup.prepare(stores, build(settings, stores))
    sys.argv = ["http-bucket", "--config", str(_CONFIGURATION)]
    _Gunicorn("%(prog)s").run()


def _allow_many_descriptors() -> None:
    """As many as may be: 1024, which is usual, is for programs that call select(2)."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    if resource.RLIM_INFINITY != now < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Gunicorn(WSGIApplication):  # type: ignore[misc]
    """gunicorn on sockets that are bound already, so that a taken port ends the start at once.

    gunicorn itself would try for five seconds and leave the reason to its log.
    """

    _bound: dict[tuple[str, int], str]

    def do_load_config(self) -> None:
        # Not in load_config: gunicorn would turn a refusal there into an "Error:" of its own.
        super().do_load_config()
        # Sockets come from outside when systemd or an upgrade in place (USR2) hands them on.
        if not {"GUNICORN_FD", "LISTEN_FDS"} & set(os.environ):
            self._bind()

    def _bind(self) -> None:
        addresses = self.cfg.address
        if all(isinstance(address, tuple) for address in addresses):
            bound: dict[Any, str] = self.__dict__.setdefault("_bound", {})
            for address in addresses:
                if address not in bound:
                    bound[address] = f"fd://{_bound_socket(address).detach()}"
            self.cfg.set("bind", [bound[address] for address in addresses])


def _bound_socket(address: tuple[str, int]) -> socket.socket:
    host, port = address[:2]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UnusableAddress(_sentence(host, port, error)) from error
    return listener


def _sentence(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is taken by another program; stop it, or set PORT to a free one."
        case errno.EACCES:
            return f"Port {port} needs privileges; set PORT to one above 1023."
        case _:
            reason = os.strerror(error.errno) if error.errno else str(error)
            return f"Cannot listen on {host} port {port} ({reason}); set HOST and PORT to others."
