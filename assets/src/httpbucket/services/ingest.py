"""Ingest turns files of a client into uploads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from httpbucket.content.crew import Crew
from httpbucket.content.spare_memory import SpareMemory
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BucketError, ContentVanished, SeveralFiles
from httpbucket.domain.filename import kept_filename
from httpbucket.domain.size import show_size
from httpbucket.domain.upload import NamedBlob, Receipt
from httpbucket.services.assemble import Assemble
from httpbucket.services.expected import verified
from httpbucket.services.kept_content import KeptContent, KeptContents
from httpbucket.services.publish import Draft, Publish
from httpbucket.services.receive import Act, Content
from httpbucket.services.retry import Retries
from httpbucket.services.terms import Terms
from httpbucket.services.unpack import Unpack, Unpacked
from httpbucket.storage.base import BlobStore, Staging, TreeStore

logger = logging.getLogger(__name__)

#: Each takes four syncs, and 24 KB of memory until the last is told of.
MOST_UPLOADS = 2_000


@dataclass(frozen=True)
class Offer:
    """One file that a client brings, with the name it gives it.

    ``folder``, which `safe_folder` gave, is where in the upload's directory it lies. The content
    has to have each of the ``expected`` digests.
    """

    content: Content
    filename: str | None
    folder: str = ""
    expected: tuple[Digest, ...] = ()


@dataclass(frozen=True)
class _Prepared:
    """A file that may be kept: nothing more can be said against it."""

    uploaded: NamedBlob
    offer: Offer
    unpacked: Unpacked
    log: tuple[str, ...]


class Ingest:
    """Keeps what clients send: the content lasts before anything names it."""

    def __init__(
        self,
        *,
        staging: Staging,
        blobs: BlobStore,
        trees: TreeStore,
        unpack: Unpack,
        publish: Publish,
        assemble: Assemble,
        kept: KeptContents,
        retries: Retries,
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        max_content_length: int,
        crew: Crew | None = None,
        memory: SpareMemory | None = None,
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._trees = trees
        self._unpack = unpack
        self._publish = publish
        self._assemble = assemble
        self._kept = kept
        self._retries = retries
        self._media_type_of = media_type_of
        self._digests = digests
        self._max_content_length = max_content_length
        self._crew = crew
        self._memory = memory

    @property
    def headers(self) -> tuple[str, ...]:
        """The request headers that `Terms` should hold, in lower case, beside ``meta-`` ones."""
        return self._publish.headers

    def parse_days(self, text: str) -> int | None:
        """As `Publish.parse_days`."""
        return self._publish.parse_days(text)

    def begin(self, *, is_limited: bool = True) -> Act:
        """A new act of a client, to receive its files with; of an operator it has no limit."""
        return Act(
            self._staging,
            self._digests,
            limit=self._max_content_length if is_limited else None,
            crew=self._crew,
            blobs=self._blobs,
            memory=self._memory,
        )

    def recall(self, question: Sequence[Digest]) -> AbstractContextManager[KeptContent]:
        """Content that need not be sent, to offer it; as `KeptContents.find`."""
        return self._kept.find(question)

    def keep(self, offer: Offer, terms: Terms | None = None) -> Receipt:
        """Keep a file as `keep_all` does."""
        (receipt,) = self.keep_all([offer], terms or Terms())
        return receipt

    def keep_all(self, offers: Sequence[Offer], terms: Terms) -> tuple[Receipt, ...]:
        """Keep each file, which came whole, as an upload of its own; when this returns they last.

        Of those that came before with their key, the first receipts are given again. Raises
        `EmptyFilename`, `DigestMismatch`, `KeyReused`, and what `Unpack.inside`, `Publish.publish`
        and the ports raise. What can be said against any of them is found out before the first
        is published. If the store fails after that, the refusal's detail names the uploads that
        were ``kept``.
        """
        if len(offers) > MOST_UPLOADS:
            raise SeveralFiles(
                f"{len(offers)} files are too many to be uploads of their own, which at most "
                f"{MOST_UPLOADS} in one request are; Tree: <name> makes them one upload.",
                files=len(offers),
            )
        key = terms.idempotency_key
        with self._retries.turn(key, terms.is_gone) as broken_off, ExitStack() as stack:
            files = [self._described(offer) for offer in offers]
            contents = [file.blob.sha256 for file in files]
            receipts = self._retries.receipts(key, contents, broken_off)
            waits = len(offers) > 1
            prepared = [
                receipt or stack.enter_context(self._prepared(offer, file, terms, waits=waits))
                for offer, file, receipt in zip(offers, files, receipts, strict=True)
            ]
            return self._keep_prepared(prepared, terms)

    def keep_tree(self, name: str, offers: Sequence[Offer], terms: Terms) -> Receipt:
        """Keep the files, which came whole, as one upload with one tree called ``name``.

        Their filenames are the paths in it. Archive files stay files. Raises as `Assemble.plan`,
        `DigestMismatch`, `KeyReused`, and what the ports raise.
        """
        plan = self._assemble.plan(name, [offer.filename or "" for offer in offers])
        contents = [offer.content for offer in offers]
        for offer in offers:
            if offer.expected:
                verified(offer.content, offer.content.known_as(""), offer.expected)
        for content in contents:
            content.keep(self._blobs, content.known_as("").sha256)
        described = lambda numbers: [contents[one].known_as("") for one in numbers]  # noqa: E731
        return self._assemble.keep(plan, described, terms)

    def _keep_prepared(
        self, prepared: Iterable[_Prepared | Receipt], terms: Terms
    ) -> tuple[Receipt, ...]:
        receipts: list[Receipt] = []
        try:
            for one in prepared:
                receipts.append(one if isinstance(one, Receipt) else self._keep(one, terms))
        except BucketError as error:
            if receipts:
                error.detail["kept"] = [str(receipt.record.id) for receipt in receipts]
            raise
        return tuple(receipts)

    def _described(self, offer: Offer) -> NamedBlob:
        name = kept_filename(offer.filename)
        blob = offer.content.describe(self._media_type_of)
        return NamedBlob(name, verified(offer.content, blob, offer.expected))

    @contextmanager
    def _prepared(
        self, offer: Offer, uploaded: NamedBlob, terms: Terms, *, waits: bool
    ) -> Iterator[_Prepared]:
        name, blob = uploaded.name, uploaded.blob
        log = [f"Received {name!r}: {show_size(blob.size)}, {blob.media_type}."]
        if name != offer.filename:
            log.append(f"The name {_shown(offer.filename)} was changed to {name!r}.")
        with self._inside(uploaded, offer.content, terms) as unpacked:
            if waits:
                # Thousands may be prepared before the first of them is published.
                unpacked.rest()
            yield _Prepared(uploaded, offer, unpacked, tuple(log))

    @contextmanager
    def _inside(
        self, uploaded: NamedBlob, content: Content, terms: Terms, *, anew: bool = False
    ) -> Iterator[Unpacked]:
        wish, is_gone = terms.wish, terms.is_gone
        with self._unpack.inside(
            content, uploaded, wish=wish, is_gone=is_gone, anew=anew
        ) as unpacked:
            yield unpacked

    def _keep(self, one: _Prepared, terms: Terms) -> Receipt:
        is_new = one.offer.content.keep(self._blobs, one.uploaded.blob.sha256)
        step = f"{'Kept' if is_new else 'Known already'} as {one.uploaded.blob.sha256}."
        steps = (*one.log, step)
        try:
            return self._finish(one, one.unpacked, steps, terms)
        except ContentVanished as error:
            if not one.unpacked.is_tree_of_earlier:
                raise
            logger.error("%s %s is unpacked anew.", error, one.uploaded.name)
        with self._inside(one.uploaded, one.offer.content, terms, anew=True) as unpacked:
            return self._finish(one, unpacked, steps, terms)

    def _finish(
        self, one: _Prepared, unpacked: Unpacked, steps: tuple[str, ...], terms: Terms
    ) -> Receipt:
        unpacked.keep(self._blobs, self._trees)
        draft = Draft(
            one.uploaded,
            decompressed=unpacked.decompressed,
            tree=unpacked.tree,
            findings=tuple(unpacked.findings),
            log=(*steps, *unpacked.log),
            folder=one.offer.folder,
            idempotency_key=terms.idempotency_key,
            received=terms.received,
            members=unpacked.built.members if unpacked.built else None,
        )
        return self._publish.publish(draft, terms.headers, days=terms.days)


def _shown(filename: str | None) -> str:
    text = filename or ""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
