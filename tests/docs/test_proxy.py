"""The nginx that the documentation shows in front of the server: what of a request arrives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.deployment.serving import ask
from tests.docs.conftest import StartServer
from tests.docs.pages import DOCS, blocks
from tests.live.server import LiveServer, free_port, wait_until
from tests.live.wire import Answer, multipart
from tests.tools import require_tool

HOST, _, TAKEN_OFF, STAYS = (
    block.text
    for block in blocks(DOCS / "how-to" / "run-behind-a-proxy.md")
    if block.language == "nginx"
)
#: What a client may write on its own.
SPOOFED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
}
BROWSER = {"Accept": "text/html"}
ODD_NAME = "50% & <b>#?+é.txt"


def test_a_prefix_that_stays_is_in_links_and_lines(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(SCRIPT_NAME="/bucket")
    with _nginx(server, STAYS, tmp_path) as port:
        assert _get(port, "/bucket/ping").body == b"pong\n"
        form = _get(port, "/bucket/upload").body.decode()
    assert 'action="/bucket/upload"' in form
    assert f"curl -F file=@results.xml http://127.0.0.1:{port}/bucket/upload" in form


def test_a_prefix_that_is_taken_off_is_in_links_and_lines(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(TRUSTED_PROXIES="127.0.0.1")
    receipt = server.upload(b"kept", ODD_NAME)
    with _nginx(server, TAKEN_OFF, tmp_path) as port:
        form = _get(port, "/bucket/upload").body.decode()
        directory = f"/bucket/{receipt['path']['upload']}/"
        assert _get(port, directory + quote(receipt["upload"]["filename"])).body == b"kept"
        redirect = _get(port, directory.rstrip("/"), **BROWSER)
        listing = _get(port, directory).body.decode()
    assert 'action="/bucket/upload"' in form
    assert f"curl -F file=@results.xml http://127.0.0.1:{port}/bucket/upload" in form
    assert (redirect.status, redirect.headers["Location"]) == (
        301,
        f"./{receipt['upload']['id']}/",
    )
    assert 'href="/bucket/archive/"' in listing


def test_what_a_client_writes_about_itself_does_not_get_through(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(TRUSTED_PROXIES="127.0.0.1", GUNICORN_CMD_ARGS="--access-logfile -")
    with _nginx(server, HOST, tmp_path) as port:
        for headers in ({}, SPOOFED):
            form = _get(port, "/upload", **headers).body.decode()
            assert f"curl -F file=@results.xml http://127.0.0.1:{port}/upload" in form
            assert 'action="/upload"' in form
        assert _upload(port, Origin=f"http://127.0.0.1:{port}").status == 200
        assert _upload(port, Origin="http://evil.example", **SPOOFED).status == 403
    assert "evil" not in server.log
    # The access log names the client of nginx, which this machine is, too.
    assert "198.51.100.7" not in server.log


def test_an_origin_for_kept_files_is_told_by_the_host_that_nginx_passes_on(
    start_server: StartServer, tmp_path: Path
) -> None:
    origin, public = "https://files.example.org", "https://bucket.example.org"
    server = start_server(TRUSTED_PROXIES="127.0.0.1", CONTENT_ORIGIN=origin, PUBLIC_URL=public)
    path = f"/{server.upload(b'<p>', 'a.html')['path']['upload']}/a.html"
    with _nginx(server, HOST, tmp_path) as port:
        there = {"Host": "files.example.org"}
        assert _get(port, path, **there).body == b"<p>"
        assert [_get(port, other, **there).status for other in ("/", "/config")] == [404, 404]
        page = _get(port, f"{path.rpartition('/')[0]}/", Host="bucket.example.org", **BROWSER)
    assert f'href="{origin}{path}"' in page.body.decode()
    assert f"curl -OJ '{public}/" in page.body.decode()


def test_without_a_trusted_proxy_nothing_is_believed_not_even_of_this_machine(
    start_server: StartServer,
) -> None:
    """As gunicorn itself would, also about a prefix in a header that is called SCRIPT_NAME."""
    server = start_server(GUNICORN_CMD_ARGS="--access-logfile -")
    headers = {**SPOOFED, "SCRIPT_NAME": "/evil", "PATH_INFO": "/config", "X-Forwarded-Ssl": "on"}
    page = _get(server.port, "/upload", **headers).body.decode()
    assert f"curl -F file=@results.xml http://127.0.0.1:{server.port}/upload" in page
    assert 'action="/upload"' in page
    assert _upload(server.port, Origin="https://evil.example", **SPOOFED).status == 403
    wait_until(lambda: "POST /upload" in server.log, seconds=10, what="requests are logged")
    assert "198.51.100.7" not in server.log


def _get(port: int, path: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(port, path, headers={"Host": f"127.0.0.1:{port}", **named})


def _upload(port: int, **headers: str) -> Answer:
    body, kind = multipart(b"content")
    given = {"Host": f"127.0.0.1:{port}", "Content-Type": kind, **headers}
    return ask(port, "/upload", "POST", body, given)


@contextmanager
def _nginx(server: LiveServer, location: str, place: Path) -> Iterator[int]:
    """The port of an nginx with a location as it is shown, but for the server's own port."""
    port = free_port()
    passed = location.replace("127.0.0.1:5000", urlsplit(server.url).netloc)
    configuration = place / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    configuration.write_text(
        f"daemon off; pid {place}/nginx.pid; error_log {place}/nginx.log; events {{}}\n"
        "http {\naccess_log off;\n"
        + "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
        + f"server {{ listen 127.0.0.1:{port};\n{passed}}}\n}}\n"
    )
    command = [require_tool("nginx", package="nginx-light"), "-c", str(configuration)]
    nginx = subprocess.Popen([*command, "-e", f"{place}/nginx.log"])
    try:
        wait_until(lambda: _answers(port), seconds=10, what="nginx answers")
        yield port
    finally:
        nginx.terminate()
        nginx.wait(10)


def _answers(port: int) -> bool:
    with suppress(OSError):
        return ask(port, "/").status > 0
    return False
