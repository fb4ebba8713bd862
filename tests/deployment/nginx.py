"""The shipped configuration of nginx, made to run without a container."""

from __future__ import annotations

from pathlib import Path

from tests.deployment.dockerfile import ROOT

CONFIGURATION = ROOT / "assets" / "nginx" / "http-bucket.conf"

#: What nginx's own image has around a file in conf.d; ours is included.
AROUND = """
pid {directory}/nginx.pid;
error_log stderr warn;
worker_processes 1;
daemon off;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/http-bucket.conf;
}}
"""


def configure(directory: Path, store: Path, port: int) -> list[str]:
    """Nginx's arguments for the shipped configuration, on this port and store."""
    shipped = CONFIGURATION.read_text()
    changed = shipped.replace("listen 80;", f"listen 127.0.0.1:{port};")
    changed = changed.replace("root /data;", f"root {store};")
    assert changed.count(str(port)) == changed.count(str(store)) == 1
    (directory / "http-bucket.conf").write_text(changed)
    whole = directory / "nginx.conf"
    whole.write_text(AROUND.format(directory=directory))
    return ["-e", "stderr", "-c", str(whole)]
