"""tus-js-client, the tus project's own client for browsers and node, in the version tested."""

from __future__ import annotations

from pathlib import Path

from tests.npm import require_npm_package


def require_tus_js() -> Path:
    """The directory of the package; as `require_npm_package`."""
    return require_npm_package("tus-js-client", "4.3.1")
