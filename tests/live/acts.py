"""Everything that a client can do to a store, by every way in and every way out."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.builders import tar, tar_member
from tests.live.ledger import Kept, Ledger, Sample, ask, sha256
from tests.live.server import LiveServer
from tests.live.tus_client import PIECE_TYPE, VERSION
from tests.live.wire import Answer, upload_halves

BOUNDARY = "the-boundary"
JSON = {"Accept": "application/json"}


@dataclass
class Upload:
    """Uploads by forms and raw bodies. ``headers`` hold an ``Idempotency-Key``."""

    samples: Sequence[Sample]
    headers: Mapping[str, str]
    may_expire: bool

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        for sample in self.samples:
            ledger.see(sample)
        answer = self._send(server)
        assert answer.status == 200, answer
        receipt = answer.json
        receipts = receipt.get("uploads", [receipt])
        return [
            ledger.keep(one, sample, may_expire=self.may_expire)
            for sample, one in zip(self.samples, receipts, strict=True)
        ]

    def _send(self, server: LiveServer) -> Answer:
        files = [(sample.name, sample.content or b"") for sample in self.samples]
        return _post_form(server, files, self.headers)


class RawUpload(Upload):
    """The file is the body."""

    def _send(self, server: LiveServer) -> Answer:
        (sample,) = self.samples
        return ask(server, "PUT", f"/upload/{sample.name}", sample.content or b"", self.headers)


class TreeOfForm(Upload):
    """The members of one sample, as the files of one tree."""

    def _send(self, server: LiveServer) -> Answer:
        (sample,) = self.samples
        headers = {**self.headers, "Tree": sample.name}
        return _post_form(server, [*sample.members.items()], headers)


@dataclass
class BrokenOff:
    """Half of an upload, of which nothing may stay."""

    sample: Sample

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        ledger.see(self.sample)
        begun, _ = upload_halves(self.sample.content or b"")
        with server.connect() as wire:
            wire.send(begun)
            wire.reset()
        return []


@dataclass
class ByDigest:
    """Keeps once more what may be kept already, without sending it."""

    sample: Sample
    headers: Mapping[str, str]
    may_expire: bool

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        digest = sha256(self.sample.content or b"")
        path = f"/upload?checksum=sha256:{digest}&filename={self.sample.name}"
        answer = ask(server, "POST", path, headers=self.headers)
        if answer.status == 404:
            return []
        assert answer.status == 200, answer
        return [ledger.keep(answer.json, self.sample, may_expire=self.may_expire)]


@dataclass
class TreeOfList:
    """A list of digests, then a tar of the files. The address of the tree is remembered."""

    sample: Sample
    headers: Mapping[str, str]
    may_expire: bool
    path: str = ""

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        ledger.see(self.sample)
        members = self.sample.members
        if not self.path:
            lines = "".join(f"{sha256(content)}  {path}\n" for path, content in members.items())
            listed = f"/tree?name={self.sample.name}"
            offered = ask(server, "POST", listed, lines.encode(), self.headers)
            assert offered.status == 202, offered
            self.path = offered.headers["Location"]
        packed = tar(*(tar_member(path, content) for path, content in members.items()))
        answer = ask(server, "PUT", self.path, packed, JSON)
        if answer.status == 404 and self.may_expire:
            # An earlier try made the upload, and its time is over.
            assert answer.problem == "upload-not-found", answer
            return []
        assert answer.status == 200, answer
        return [ledger.keep(answer.json, self.sample, may_expire=self.may_expire)]


@dataclass
class Resumable:
    """Pieces; what was acknowledged is not sent again."""

    sample: Sample
    headers: Mapping[str, str]
    may_expire: bool
    pieces: int = 4
    path: str = ""
    acknowledged: int = field(default=0, init=False)

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        ledger.see(self.sample)
        content = self.sample.content or b""
        if not self.path:
            self.path = self._create(server, len(content))
        step = len(content) // self.pieces + 1
        answer = ask(server, "HEAD", self.path, headers=VERSION)
        while not (page := answer.headers.get("Content-Location")):
            assert answer.status in {200, 204}, answer
            offset = int(answer.headers["Upload-Offset"])
            assert offset >= self.acknowledged
            self.acknowledged = offset
            piece = content[offset : offset + step]
            fields = {"Content-Type": PIECE_TYPE, "Upload-Offset": str(offset), **VERSION}
            answer = ask(server, "PATCH", self.path, piece, fields)
        shown = ask(server, "GET", page, headers=JSON)
        if shown.status == 404 and self.may_expire:
            return []
        assert shown.status == 200, shown
        return [ledger.keep(shown.json, self.sample, may_expire=self.may_expire)]

    def _create(self, server: LiveServer, size: int) -> str:
        name = base64.b64encode(self.sample.name.encode()).decode()
        fields = {"Upload-Length": str(size), "Upload-Metadata": f"filename {name}", **VERSION}
        answer = ask(server, "POST", "/tus/", headers={**self.headers, **fields})
        assert answer.status == 201, answer
        return answer.headers["Location"]


@dataclass
class Delete:
    """Deletes an upload, by any of its names."""

    kept: Kept
    path: str

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        answer = ask(server, "DELETE", self.path)
        # 404: an earlier try did it, or its time was over.
        assert answer.status in {200, 404}, answer
        ledger.forget(self.kept)
        return []


@dataclass
class DeleteReplica:
    """Deletes one replica, and leaves its upload."""

    kept: Kept
    replica: str

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        # Its number may have been given anew since an earlier try.
        answer = ask(server, "DELETE", f"/{self.replica}?upload={self.kept.id}")
        assert answer.status in {200, 404}, answer
        rest = {
            path: digest
            for path, digest in self.kept.files.items()
            if path != self.replica and not path.startswith(f"{self.replica}/")
        }
        self.kept.files = rest
        self.kept.replicas = [one for one in self.kept.replicas if one != self.replica]
        return []


@dataclass
class Mark:
    """Marks an upload to be kept, or takes the mark away."""

    kept: Kept
    keep: bool

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        method = "PUT" if self.keep else "DELETE"
        answer = ask(server, method, f"/uploads/{self.kept.id}/keep")
        if answer.status == 404 and self.kept.may_expire and not self.kept.is_marked:
            ledger.forget(self.kept)
            return []
        assert answer.status == 200, answer
        self.kept.is_marked = self.keep
        return []


@dataclass
class Read:
    """Reads a file of an upload, and whether it is known."""

    kept: Kept
    path: str

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        digest = self.kept.files[self.path]
        answer = ask(server, "GET", f"/{self.path}")
        known = ask(server, "HEAD", f"/checksum/sha256:{digest}")
        if self.kept.has_to_stay:
            assert (answer.status, known.status) == (200, 200), (self.path, answer, known)
        assert {answer.status, known.status} <= {200, 404}
        # The number of a replica that went is given again.
        may_be_another_s = self.path.startswith("replica/") and not self.kept.has_to_stay
        if answer.status == 200 and not may_be_another_s:
            assert sha256(answer.body) == digest, self.path
        return []


def _post_form(
    server: LiveServer, files: Sequence[tuple[str, bytes]], headers: Mapping[str, str]
) -> Answer:
    parts = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return ask(server, "POST", "/upload", body, {**headers, **kind})
