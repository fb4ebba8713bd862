"""Looking once whether the location that receipts point to is there."""

from __future__ import annotations

import logging
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpbucket

logger = logging.getLogger(__name__)

#: How long a web server may take to say anything.
PATIENCE_SECONDS = 5.0


def look_in_background(uri: str) -> None:
    """Warn when ``ARCHIVE_URI`` does not answer, whenever that is known; nobody waits for it.

    It is a warning only, because the web server may be started after this one.
    """
    if uri:
        threading.Thread(target=_look, args=(uri,), name="archive-uri", daemon=True).start()


def trouble_with(uri: str, *, patience_seconds: float = PATIENCE_SECONDS) -> str | None:
    """Why the directory, or the web server, at ``uri`` is of no use; None when it answers.

    Any answer to HEAD will do but one of a server in trouble (RFC 9110, 15.6): many show no
    listing of a store's root.
    """
    url = urlsplit(uri)
    if url.scheme not in {"http", "https"}:
        path = unquote(url.path) if url.scheme else uri
        return None if _is_directory(path) else "no such directory"
    agent = {"User-Agent": f"http-bucket/{httpbucket.__version__}"}
    try:
        request = urllib.request.Request(f"{uri}/", headers=agent, method="HEAD")
        urllib.request.urlopen(request, timeout=patience_seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
        knows_no_head = error.code == HTTPStatus.NOT_IMPLEMENTED
        return (
            None if error.code < HTTPStatus.INTERNAL_SERVER_ERROR or knows_no_head else str(error)
        )
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return None


def _look(uri: str) -> None:
    trouble = trouble_with(uri)
    if trouble:
        logger.warning(
            "ARCHIVE_URI %s does not answer (%s); receipts point there all the same.", uri, trouble
        )


def _is_directory(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:
        return False
