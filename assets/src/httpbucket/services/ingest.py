"""Ingest turns files of a client into uploads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from httpbucket.domain.errors import ContentVanished
from httpbucket.domain.filename import kept_filename
from httpbucket.domain.size import show_size
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import NamedBlob, Receipt
from httpbucket.services.publish import Draft, Publish
from httpbucket.services.receive import Act, Content
from httpbucket.services.unpack import Unpack, Unpacked
from httpbucket.storage.base import BlobStore, Staging, TreeStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """One file that a client brings, with the name it gives it."""

    content: Content
    filename: str | None


@dataclass(frozen=True)
class Terms:
    """What a client says of the uploads that it makes, beside their bytes.

    ``headers``, by name in lower case, are what templates are filled with and the record keeps.
    ``days`` is for how long to keep them, None as the operator set it. ``is_gone`` is asked now
    and then whether the client has stopped waiting.
    """

    wish: UnpackWish = UnpackWish.AUTO
    headers: Mapping[str, str] = field(default_factory=dict)
    days: int | None = None
    is_gone: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class _Prepared:
    """A file that may be kept: nothing more can be said against it."""

    uploaded: NamedBlob
    content: Content
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
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        max_content_length: int,
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._trees = trees
        self._unpack = unpack
        self._publish = publish
        self._media_type_of = media_type_of
        self._digests = digests
        self._max_content_length = max_content_length

    @property
    def headers(self) -> tuple[str, ...]:
        """The request headers that `Terms` should hold, in lower case, beside ``meta-`` ones."""
        return self._publish.headers

    def parse_days(self, text: str) -> int | None:
        """As `Publish.parse_days`."""
        return self._publish.parse_days(text)

    def begin(self) -> Act:
        """A new act of a client, to receive its files with."""
        return Act(self._staging, self._digests, limit=self._max_content_length)

    def keep(self, offer: Offer, terms: Terms | None = None) -> Receipt:
        """Keep a file as `keep_all` does."""
        (receipt,) = self.keep_all([offer], terms or Terms())
        return receipt

    def keep_all(self, offers: Sequence[Offer], terms: Terms) -> tuple[Receipt, ...]:
        """Keep each file, which came whole, as an upload of its own; when this returns they last.

        Raises `EmptyFilename`, and what `Unpack.inside`, `Publish.publish` and the ports raise.
        What can be said against any of them is found out before the first is published.
        """
        with ExitStack() as stack:
            prepared = [stack.enter_context(self._prepared(offer, terms)) for offer in offers]
            return tuple(self._keep(one, terms) for one in prepared)

    @contextmanager
    def _prepared(self, offer: Offer, terms: Terms) -> Iterator[_Prepared]:
        name = kept_filename(offer.filename)
        blob = offer.content.describe(self._media_type_of)
        uploaded = NamedBlob(name, blob)
        log = [f"Received {name!r}: {show_size(blob.size)}, {blob.media_type}."]
        if name != offer.filename:
            log.append(f"The name {_shown(offer.filename)} was changed to {name!r}.")
        with self._inside(uploaded, offer.content, terms) as unpacked:
            yield _Prepared(uploaded, offer.content, unpacked, tuple(log))

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
        is_new = one.content.keep(self._blobs, one.uploaded.blob.sha256)
        step = f"{'Kept' if is_new else 'Known already'} as {one.uploaded.blob.sha256}."
        steps = (*one.log, step)
        try:
            return self._finish(one.uploaded, one.unpacked, steps, terms)
        except ContentVanished as error:
            if not one.unpacked.is_tree_of_earlier:
                raise
            logger.error("%s %s is unpacked anew.", error, one.uploaded.name)
        with self._inside(one.uploaded, one.content, terms, anew=True) as unpacked:
            return self._finish(one.uploaded, unpacked, steps, terms)

    def _finish(
        self, uploaded: NamedBlob, unpacked: Unpacked, steps: tuple[str, ...], terms: Terms
    ) -> Receipt:
        unpacked.keep(self._blobs, self._trees)
        draft = Draft(
            uploaded,
            decompressed=unpacked.decompressed,
            tree=unpacked.tree,
            findings=tuple(unpacked.findings),
            log=(*steps, *unpacked.log),
        )
        return self._publish.publish(draft, terms.headers, days=terms.days)


def _shown(filename: str | None) -> str:
    text = filename or ""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
