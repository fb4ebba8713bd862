"""A scrub that takes days, and outlives the processes that do it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from httpbucket.domain.digest import Digest, sha256
from httpbucket.services.scrub import Scrub, Scrubbed
from httpbucket.storage.base import Notes

#: What is read a second time at most after a kill.
_SAVE_SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """When a pass began, and the blob up to which it came; ``last`` None is the beginning."""

    began: datetime
    last: Digest | None = None

    @property
    def share(self) -> float:
        """How much of the blobs lies behind it, 0 to 1: their names are spread evenly."""
        return share_before(self.last) if self.last else 0.0

    def to_text(self) -> str:
        """As a note keeps it."""
        last = self.last.hex if self.last else None
        return json.dumps({"began": self.began.isoformat(), "last": last})

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `to_text` wrote; None for anything else."""
        try:
            value = json.loads(text)
            last = sha256(value["last"]) if value["last"] else None
            return cls(datetime.fromisoformat(value["began"]), last)
        except (ValueError, TypeError, KeyError):
            return None


def share_before(blob: Digest) -> float:
    """How much of all blobs comes before this one, as far as chance tells.

    >>> share_before(sha256("80" + "00" * 31))
    0.5
    """
    return int(blob.hex[:8], 16) / 2**32


class ScrubPass:
    """One pass after the other; where it is, the note ``name`` keeps."""

    def __init__(self, scrub: Scrub, notes: Notes, *, name: str) -> None:
        self._scrub = scrub
        self._notes = notes
        self._name = name

    def progress(self) -> Progress | None:
        """Of the pass that was begun and not ended, or that is to begin next."""
        return Progress.parse(self._notes.read(self._name))

    def begin(self, now: datetime) -> Progress:
        """Forget where the pass was."""
        progress = Progress(now)
        self._notes.write(self._name, progress.to_text())
        return progress

    def go_on(
        self,
        progress: Progress,
        *,
        may_go_on: Callable[[Digest], bool],
        on_blob: Callable[[Digest, int], None] = lambda blob, size: None,
    ) -> Scrubbed:
        """Scrub from there until it is at its end or may not go on. A kill costs seconds of it."""
        last, saved_at = progress.last, time.monotonic()

        def read(blob: Digest, size: int) -> None:
            nonlocal last, saved_at
            last = blob
            if time.monotonic() - saved_at > _SAVE_SECONDS:
                self._save(replace(progress, last=last))
                saved_at = time.monotonic()
            on_blob(blob, size)

        try:
            return self._scrub.run(after=last, may_go_on=may_go_on, on_blob=read)
        finally:
            if last != progress.last:
                self._save(replace(progress, last=last))

    def keep_up(
        self, now: datetime, interval: timedelta, may_go_on: Callable[[], bool]
    ) -> Scrubbed:
        """Read what is due by now of a pass that takes all of ``interval``, spread evenly."""
        progress = self.progress() or self.begin(now)
        share = (now - progress.began) / interval
        # A clock that was set back would have the pass wait for it.
        if share < 0 or (share >= 1 and self._scrub.next_after(progress.last) is None):
            progress, share = self.begin(now), 0.0
        following = self._scrub.next_after(progress.last)
        if following is None or share_before(following) > share:
            return Scrubbed(last=progress.last)
        return self.go_on(
            progress, may_go_on=lambda blob: may_go_on() and share_before(blob) <= share
        )

    def end(self) -> None:
        """The pass is through."""
        self._notes.write(self._name, "")

    def _save(self, progress: Progress) -> None:
        self._notes.write(self._name, progress.to_text())
