"""The container's health: exits with 0 when the server answers /ping on its first port."""

from __future__ import annotations

import http.client
import os
import sys

_WAIT_SECONDS = 4
#: Where a server is asked that listens on every address; without a name to look up.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def main() -> int:
    """Ask as a client would, by none but the settings that say where the server listens."""
    host = os.environ.get("HOST", "").strip(" []")
    port = (os.environ.get("PORT", "").strip() or "80").split(",")[0].strip()
    prefix = os.environ.get("SCRIPT_NAME", "").rstrip("/")
    connection = http.client.HTTPConnection(
        _LOOPBACK.get(host, host), int(port), timeout=_WAIT_SECONDS
    )
    try:
        connection.request("GET", f"{prefix}/ping")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"/ping on port {port}: {error}")
        return 1
    finally:
        connection.close()
    print(f"/ping on port {port}: {status}")
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
