"""``http-bucket serve`` starts the server."""

from __future__ import annotations

import argparse
import os

import httpbucket
from httpbucket.cli.verb import Verbs
from httpbucket.config import Settings


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    return verbs.add_parser(
        "serve",
        help="start the server",
        description="Start the server; settings come from the environment.",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    settings = Settings.from_environ(os.environ)
    # Loads gunicorn, which the other verbs do without.
    from httpbucket.server.serve import serve  # noqa: PLC0415

    _greet(settings)
    serve(settings)
    return 0


def _greet(settings: Settings) -> None:
    everywhere = settings.host in {"0.0.0.0", "::"}
    host = "localhost" if everywhere or settings.host == "127.0.0.1" else settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.ports[0]}"
    print(f"http-bucket {httpbucket.__version__} on {url}, files in {settings.archive_dir}")
    if settings.host == "127.0.0.1":
        print("It answers this machine alone; start it with HOST=0.0.0.0 to open it to others.")
    print(f"Try it:  curl -F file=@README.md {url}/upload", flush=True)
