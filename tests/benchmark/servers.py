"""The contestants: `Server`, what all of them offer, and `Bucket`, ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from tests.benchmark import machine, requests, stream
from tests.benchmark.contents import Big, Contents, tar_of
from tests.live.server import SERVE, LiveServer


class NotOffered(Exception):
    """This server, as it is, does not do this work."""


class NotRunning(Exception):
    """A work needs a server that did not start; that was told when it did not."""


class Server:
    """A running server with a directory of its own.

    ``start`` returns when it answers. After ``keep``, the contents are found at `content_path`.
    """

    name: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        #: Where the big file is, after ``keep``.
        self.big_path = ""
        self._idle_bytes: dict[int, int] = {}
        self._cpu_before = 0.0

    @classmethod
    def missing(cls) -> str | None:
        """What has to be installed first; None when nothing is missing."""
        return None

    @property
    def group(self) -> int:
        """The process group that holds all of its processes."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End it; what does not end is killed."""
        raise NotImplementedError

    def keep(self, contents: Contents) -> None:
        """Take the small contents and the big file in, before anything is measured."""
        raise NotImplementedError

    def content_path(self, name: str, sha256: str) -> str:
        """Where a content of this name or digest is, or would be."""
        raise NotImplementedError

    def question_path(self, name: str, sha256: str) -> str:
        """Where to ask with HEAD whether a content is there."""
        return self.content_path(name, sha256)

    def raw_upload(self, name: str, size: int) -> bytes:
        """The head of a request that uploads the body that follows; raises NotOffered."""
        raise NotOffered(f"{self.name}: no upload of a raw body")

    def settle(self) -> None:
        """Remember the size of each process, as that of an idle one."""
        for pid in machine.processes_of(self.group):
            self._idle_bytes[pid] = machine.resident_bytes_of(pid)

    def begin(self) -> None:
        """From now on count processor time, and peaks from the present sizes on."""
        self._cpu_before = machine.cpu_seconds_of(self.group)
        for pid in machine.processes_of(self.group):
            machine.forget_peak(pid)

    def peak_bytes(self) -> int:
        """The most that its largest process held."""
        return max(map(machine.peak_bytes_of, machine.processes_of(self.group)), default=0)

    def grown_bytes(self) -> int:
        """The most that one of its processes held beyond its idle size."""
        return max(
            (machine.peak_bytes_of(pid) - idle for pid, idle in self._idle_bytes.items()),
            default=0,
        )

    def cpu_seconds(self) -> float:
        """The processor time of all of its processes since `begin`."""
        return machine.cpu_seconds_of(self.group) - self._cpu_before


class Bucket(Server):
    """http-bucket, as ``http-bucket serve`` starts it."""

    name = "http-bucket"
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.live = LiveServer(
            directory,
            command=machine.pinned(list(SERVE), client=False),
            MAX_CONTENT_LENGTH="4gb",
            **self.settings,
        )
        self.port = self.live.port
        self._raw: bool | None = None

    @property
    def group(self) -> int:
        return self.live.pid

    def start(self) -> None:
        self.live.start()

    def stop(self) -> None:
        self.live.stop()

    def keep(self, contents: Contents) -> None:
        form = requests.upload_form("kept.tar", tar_of(contents.kept))
        stream.exchange(self.port, form).expect(200)
        if type(self) is not Bucket:
            # Only the first of ours is asked for downloads.
            return
        self.upload_big(contents.big, 0)
        self.big_path = f"/blob/{contents.big.sha256(0)}"

    def content_path(self, name: str, sha256: str) -> str:
        return f"/blob/{sha256}"

    def question_path(self, name: str, sha256: str) -> str:
        return f"/checksum/{sha256}"

    def raw_upload(self, name: str, size: int) -> bytes:
        if self._raw is None:
            probe = requests.send("PUT", "/upload/probe.txt", b"probe")
            self._raw = stream.exchange(self.port, probe).status not in (404, 405)
        if not self._raw:
            raise NotOffered("http-bucket: PUT /upload/<name> is not there yet")
        return requests.send_head("PUT", f"/upload/{name}", size)

    def upload_big(self, big: Big, number: int) -> stream.Exchange:
        """Upload the big file by a form."""
        before, after, kind = requests.form_around(f"big-{number}.bin")
        before += big.first_line(number)
        size = len(before) - len(big.first_line(number)) + big.size + len(after)
        head = requests.send_head("POST", "/upload", size, Content_Type=kind)
        return stream.send_file(self.port, head + before, big.rest, after).expect(200)

    def receipt(self, answer: stream.Exchange) -> dict[str, Any]:
        """The receipt of an upload."""
        receipt: dict[str, Any] = json.loads(answer.body)
        return receipt


class UnsyncedBucket(Bucket):
    """The same with ``FSYNC=off``."""

    name = "http-bucket, FSYNC=off"
    settings: ClassVar[dict[str, Any]] = {"FSYNC": "off"}


class Sha256Bucket(Bucket):
    """The same with SHA-256 as the only digest."""

    name = "http-bucket, SHA-256 only"
    settings: ClassVar[dict[str, Any]] = {"DIGESTS": "sha256", "CHECKSUM_TYPE": "sha256"}


class UnsyncedSha256Bucket(Bucket):
    """The same with both."""

    name = "http-bucket, SHA-256 only, FSYNC=off"
    settings: ClassVar[dict[str, Any]] = {**Sha256Bucket.settings, **UnsyncedBucket.settings}


SYNCED, UNSYNCED = Bucket.name, UnsyncedBucket.name
SHA256, UNSYNCED_SHA256 = Sha256Bucket.name, UnsyncedSha256Bucket.name

BUCKETS: tuple[type[Server], ...] = (Bucket, UnsyncedBucket, Sha256Bucket, UnsyncedSha256Bucket)


def stop_all(servers: Iterable[Server]) -> None:
    """Stop every one of them, whatever happens with the others."""
    for server in servers:
        with suppress(Exception):
            server.stop()
