"""What others offer for the same work, each configured to be fast, on the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from tests.benchmark import machine, requests, stream
from tests.benchmark.contents import Contents
from tests.benchmark.scale import MIB
from tests.benchmark.servers import Server
from tests.live.server import free_port, wait_until

_START_SECONDS = 30
_STOP_SECONDS = 20

#: Where the benchmark keeps what it builds; git ignores it.
BUILD = Path(__file__).parents[2] / "build" / "benchmark"


class Peer(Server):
    """A server that is one command, and serves what lies in its directory ``files``."""

    program: ClassVar[str] = ""
    package: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = free_port()
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._program() else f"apt-get install {cls.package or cls.program}"

    @classmethod
    def _program(cls) -> str | None:
        return shutil.which(cls.program, path=f"{os.environ['PATH']}:/usr/sbin")

    def command(self) -> list[str]:
        """The command, after whatever it reads has been written."""
        raise NotImplementedError

    @property
    def group(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = machine.pinned(self.command(), client=False)
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **home},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, seconds=_START_SECONDS, what=f"{self.name} answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def keep(self, contents: Contents) -> None:
        for one in contents.kept:
            (self.files / one.name).write_bytes(one.content)
        with (self.files / "big").open("wb") as file, contents.big.rest.open("rb") as rest:
            file.write(contents.big.first_line(0))
            shutil.copyfileobj(rest, file, MIB)
        pages = self.files / "pages"
        pages.mkdir()
        tar = ["tar", "xzf", str(contents.archives["tgz"]), "-C", str(pages)]
        subprocess.run(tar, check=True)
        self.big_path = "/big"

    def content_path(self, name: str, sha256: str) -> str:
        return f"/{name}"

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self.directory / "log").read_text(errors="replace")
            raise AssertionError(f"{self.name} ended at start: {log[-500:]}")
        with suppress(OSError):
            stream.exchange(self.port, requests.ask("GET", "/", Connection="close"))
            return True
        return False


class Nginx(Peer):
    """nginx: static files, and WebDAV for uploads. It hashes nothing and syncs nothing."""

    name = "nginx"
    program = "nginx"
    package = "nginx-light"

    def command(self) -> list[str]:
        place = self.directory
        user = "user root;" if os.geteuid() == 0 else ""
        (place / "temp").mkdir()
        temps = " ".join(
            f"{kind}_temp_path {place}/temp;"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (place / "nginx.conf").write_text(f"""
            daemon off; {user} worker_processes auto; pid {place}/pid; error_log {place}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; sendfile on; {temps}
                keepalive_requests 100000000; client_max_body_size 0;
                server {{
                    listen 127.0.0.1:{self.port};
                    location / {{ root {self.files}; dav_methods PUT; }}
                }}
            }}""")
        return [self._program() or "", "-p", str(place), "-c", str(place / "nginx.conf")]

    def raw_upload(self, name: str, size: int) -> bytes:
        return requests.send_head("PUT", f"/{name}", size)


class Caddy(Peer):
    """Caddy: static files."""

    name = "Caddy"
    program = "caddy"

    def command(self) -> list[str]:
        (self.directory / "Caddyfile").write_text(f"""{{
            admin off
            auto_https off
        }}
        http://127.0.0.1:{self.port}, http://benchmark:{self.port} {{
            bind 127.0.0.1
            root * {self.files}
            file_server
        }}""")
        config = ["--config", str(self.directory / "Caddyfile"), "--adapter", "caddyfile"]
        return [self._program() or "", "run", *config]


class Copyparty(Peer):
    """copyparty: a file server in Python. It computes SHA-512 of what it receives."""

    name = "copyparty"

    @classmethod
    def missing(cls) -> str | None:
        python = BUILD / "copyparty" / "bin" / "python"
        if python.exists():
            return None
        try:
            subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
            subprocess.run([*pip, "copyparty"], check=True, timeout=300, capture_output=True)
        except (OSError, subprocess.SubprocessError):
            shutil.rmtree(python.parents[1], ignore_errors=True)
            return "pip install copyparty did not work"
        return None

    def command(self) -> list[str]:
        python = str(BUILD / "copyparty" / "bin" / "python")
        listen = ["-i", "127.0.0.1", "-p", str(self.port), "-nc", "1024", "-q"]
        return [python, "-m", "copyparty", *listen, "-v", f"{self.files}::rwd"]

    def raw_upload(self, name: str, size: int) -> bytes:
        return requests.send_head("PUT", f"/{name}", size)


class Registry(Peer):
    """docker-registry: contents named by SHA-256, uploaded by two requests each."""

    name = "docker-registry"
    program = "docker-registry"

    def command(self) -> list[str]:
        config = self.directory / "config.yml"
        config.write_text(f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{self.files}"}}, cache: {{blobdescriptor: inmemory}}}}
http: {{addr: "127.0.0.1:{self.port}"}}
""")
        return [self._program() or "", "serve", str(config)]

    def keep(self, contents: Contents) -> None:
        for one in contents.kept:
            self.push(one.content, one.sha256)
        digest = contents.big.sha256(0)
        self.push_big(contents, 0, digest)
        self.big_path = self.content_path("", digest)

    def content_path(self, name: str, sha256: str) -> str:
        return f"/v2/bench/blobs/sha256:{sha256}"

    def push(self, content: bytes, sha256: str) -> float:
        """Upload from memory; the seconds of both requests."""
        began, path = self._begin(sha256)
        done = stream.exchange(self.port, requests.send("PUT", path, content)).expect(201)
        return began + done.seconds

    def push_big(self, contents: Contents, number: int, sha256: str) -> float:
        """Upload the big file; the seconds of both requests."""
        began, path = self._begin(sha256)
        head = requests.send_head("PUT", path, contents.big.size)
        head += contents.big.first_line(number)
        done = stream.send_file(self.port, head, contents.big.rest).expect(201)
        return began + done.seconds

    def _begin(self, sha256: str) -> tuple[float, str]:
        begin = requests.send("POST", "/v2/bench/blobs/uploads/", b"")
        began = stream.exchange(self.port, begin).expect(202)
        target = urllib.parse.urlsplit(began.headers["location"])
        return began.seconds, f"{target.path}?{target.query}&digest=sha256:{sha256}"


PEERS: tuple[type[Server], ...] = (Nginx, Caddy, Registry, Copyparty)
