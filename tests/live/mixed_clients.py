"""Clients that do everything at once, by seeds: uploads of all kinds, deletes, marks, reads."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from threading import Event

from tests.builders import COMPRESSORS, ZipEntry, tar, tar_member, zip_file
from tests.live import acts
from tests.live.ledger import Act, Kept, Ledger, Sample
from tests.live.server import LiveServer

#: What servers and upkeep under these clients are set to.
SETTINGS = {
    "ANONYMOUS": "read,upload,delete",
    "REPLICATE_0": "user/${USERNAME}/${TOPIC}",
    "REPLICATE_1": "all/${USERNAME}",
    "COLLECT_GRACE_SECONDS": "0",
    "SCRUB_BYTES_PER_SECOND": "1gb",
}

#: The sizes of contents: within one write, and over many.
SIZES = (1, 10, 3000, 70_000, 300_000)

#: Contents that clients share, so that what one deletes another is just about to upload.
SHARED = [b"shared %d" % number * 50 for number in range(6)]


class MixedClient:
    """One after the other does what its seed says. ``pending`` had no answer yet."""

    def __init__(self, server: LiveServer, ledger: Ledger, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._chosen = random.Random(seed)
        self._own: list[Kept] = []
        self.pending: Act | None = None

    def work(self, ended: Event) -> None:
        """Go on until the end, or until the connection breaks."""
        while not ended.is_set():
            self.pending = self._next()
            try:
                self.try_again()
            except OSError:
                return

    def try_again(self) -> None:
        """Do what has no answer."""
        if self.pending:
            # What a client made is its own: nobody else deletes it.
            self._own += self.pending.do(self._server, self._ledger)
            self._ledger.acts += 1
            self.pending = None

    def forget_half(self) -> None:
        """Delete the older half of what is left, so that a long run does not grow."""
        for kept in self._living()[: len(self._own) // 2]:
            acts.Mark(kept, keep=False).do(self._server, self._ledger)
            acts.Delete(kept, f"/uploads/{kept.id}").do(self._server, self._ledger)

    def _living(self) -> list[Kept]:
        self._own = [kept for kept in self._own if kept.id in self._ledger.kept]
        return self._own

    def _next(self) -> Act:
        own = self._living()
        if not own or self._chosen.random() < 0.55:
            return self._upload()
        kept = self._chosen.choice(own)
        choices = [self._read, self._read, self._mark, self._delete, self._delete, self._replica]
        return self._chosen.choice(choices)(kept)

    def _upload(self) -> Act:
        kinds: list[Callable[[dict[str, str], bool], Act]] = [
            self._plain,
            self._raw,
            self._compressed,
            self._archive,
            self._several,
            self._tree_of_form,
            self._tree_of_list,
            self._resumable,
            self._by_digest,
            self._broken_off,
        ]
        may_expire = self._chosen.random() < 0.3
        return self._chosen.choice(kinds)(self._headers(may_expire=may_expire), may_expire)

    def _headers(self, *, may_expire: bool) -> dict[str, str]:
        headers = {"Idempotency-Key": str(uuid.UUID(int=self._chosen.getrandbits(128)))}
        if may_expire:
            headers["Retention-Days"] = "1"
        if self._chosen.random() < 0.4:
            headers |= {"Username": self._chosen.choice(["bob", "eve"]), "Topic": "demo"}
            headers["Result"] = self._chosen.choice(["pass", "fail"])
        return headers

    def _content(self) -> bytes:
        if self._chosen.random() < 0.4:
            return self._chosen.choice(SHARED)
        return self._chosen.randbytes(self._chosen.choice(SIZES))

    def _file(self) -> Sample:
        return Sample("results.bin", b"no archive " + self._content())

    def _members(self) -> dict[str, bytes]:
        number = self._chosen.randrange(1, 12)
        return {f"d{one % 3}/{one}.txt": self._content() for one in range(number)}

    def _plain(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.Upload([self._file()], headers, may_expire)

    def _raw(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.RawUpload([self._file()], headers, may_expire)

    def _several(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.Upload([self._file() for _ in range(3)], headers, may_expire)

    def _compressed(self, headers: dict[str, str], may_expire: bool) -> Act:
        content = b"no archive " + self._content()
        kind, suffix = self._chosen.choice([("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")])
        packed = COMPRESSORS[kind](content)
        return acts.Upload([Sample(f"log.{suffix}", packed, content)], headers, may_expire)

    def _archive(self, headers: dict[str, str], may_expire: bool) -> Act:
        members = self._members()
        packed = tar(*(tar_member(path, content) for path, content in members.items()))
        samples = [
            Sample("results.tar", packed, members=members),
            Sample("results.tgz", COMPRESSORS["gzip"](packed), packed, members),
            Sample(
                "results.zip",
                zip_file(*(ZipEntry(path, content) for path, content in members.items())),
                members=members,
            ),
        ]
        return acts.RawUpload([self._chosen.choice(samples)], headers, may_expire)

    def _tree_of_form(self, headers: dict[str, str], may_expire: bool) -> Act:
        sample = Sample("results", None, members=self._members())
        return acts.TreeOfForm([sample], headers, may_expire)

    def _tree_of_list(self, headers: dict[str, str], may_expire: bool) -> Act:
        # Something new in it: a tree of which all is kept is an upload without a second request.
        members = self._members() | {"new": self._chosen.randbytes(16)}
        return acts.TreeOfList(Sample("results", None, members=members), headers, may_expire)

    def _resumable(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.Resumable(self._file(), headers, may_expire)

    def _by_digest(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.ByDigest(Sample("again.bin", self._chosen.choice(SHARED)), headers, may_expire)

    def _broken_off(self, headers: dict[str, str], may_expire: bool) -> Act:
        return acts.BrokenOff(self._file())

    def _read(self, kept: Kept) -> Act:
        return acts.Read(kept, self._chosen.choice([*kept.files]))

    def _mark(self, kept: Kept) -> Act:
        return acts.Mark(kept, keep=not kept.is_marked)

    def _delete(self, kept: Kept) -> Act:
        if kept.is_marked:
            return acts.Mark(kept, keep=False)
        paths = [f"/uploads/{kept.id}", f"/{kept.directory}/"]
        if kept.undo:
            paths.append(kept.undo.removeprefix(self._server.url))
        return acts.Delete(kept, self._chosen.choice(paths))

    def _replica(self, kept: Kept) -> Act:
        # The name of one that expired may be another's by now.
        if not kept.replicas or not kept.has_to_stay:
            return self._read(kept)
        return acts.DeleteReplica(kept, self._chosen.choice(kept.replicas))
