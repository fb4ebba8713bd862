"""The names of replicas: which upload of a file it is, and which is the last one.

A replica directory holds, of each upload of ``results.xml`` and ``results.tgz``::

    results.20261121.1432.0.xml         the minute (UTC), and a number within it
    results.latest.xml                  → the one that was published last
    results.latest-pass.xml             → the last one whose upload said that all went well
    results.20261121.1432.0/            a tree; its latest is results.latest
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from httpbucket.domain.filename import is_marked, mark, split_extension
from httpbucket.domain.suffixes import archive_stem

#: What most file systems allow a name, in bytes.
MAX_ENTRY_BYTES = 255

Outcome = Literal["pass", "fail"]

#: What a ``Result`` header may say, in lower case.
OUTCOMES: dict[str, Outcome] = {
    "pass": "pass",
    "passed": "pass",
    "success": "pass",
    "ok": "pass",
    "fail": "fail",
    "failed": "fail",
    "failure": "fail",
    "error": "fail",
}

_LOOKS_LIKE_REPLICA = re.compile(r"\.[0-9]{8}\.[0-9]{4}\.[0-9]|\.latest")
# The last place that fits is the right one: no extension begins with a date.
_NAME = re.compile(r"(.+)\.([0-9]{8}\.[0-9]{4})\.(0|[1-9][0-9]{0,239})((?:\..+)?)", re.DOTALL)


def looks_like_replica(name: str) -> bool:
    """Whether ``name`` could be taken for a replica's name or for a ``latest``.

    >>> looks_like_replica("archive.latest.tgz"), looks_like_replica("results.xml")
    (True, False)
    """
    return _LOOKS_LIKE_REPLICA.search(name) is not None


def is_latest(link: str, target: str) -> bool:
    """Whether a symlink of this name and target is one of ours: a ``latest`` to its sibling.

    >>> is_latest("a.latest.xml", "a.20261121.1432.0.xml"), is_latest("a.latest.xml", "../../x")
    (True, False)
    """
    shown = ReplicaName.parse(target)
    outcomes: tuple[Outcome | None, ...] = (None, "pass", "fail")
    return shown is not None and "/" not in target and link in map(shown.series.latest, outcomes)


def without_dots(name: str) -> str:
    """``name`` as it is, or with ``_`` for every dot when it looks like a replica's name."""
    return name.replace(".", "_") if looks_like_replica(name) else name


def result_outcome(text: str) -> Outcome | None:
    """What a ``Result`` header says; None for a word that is neither pass nor fail.

    >>> result_outcome("Success"), result_outcome(" FAILED "), result_outcome("skipped")
    ('pass', 'fail', None)
    """
    return OUTCOMES.get(text.strip().lower())


def minute_stamp(moment: datetime) -> str:
    """The minute of ``moment`` (any zone) in UTC, as names show it: ``20261121.1432``."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%d.%H%M}"


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The names that the uploads of one filename get in one replica directory.

    Files of two names never share a name here: a stem that looks like a replica's name loses its
    dots and gets a digest, and so does a stem that looks like the outcome of that.

    >>> series = Series.of_file("results.tar.gz")
    >>> str(series.numbered("20261121.1432", 0)), series.latest(), series.latest("pass")
    ('results.20261121.1432.0.tar.gz', 'results.latest.tar.gz', 'results.latest-pass.tar.gz')
    """

    stem: str
    extension: str = ""

    @classmethod
    def of_file(cls, filename: str) -> Self:
        """The series of a file, also of a compressed one and of the stream inside it.

        ``filename`` is one that `kept_filename` or `decompressed_name` gave.

        >>> Series.of_file("archive.latest.tgz")
        Series(stem='archive_latest~1044579154d8e3d8', extension='.tgz')
        """
        stem, extension = _split(filename)
        return cls(_stem(stem), extension)

    @classmethod
    def of_tree(cls, filename: str) -> Self:
        """The series of directories that show the archive file ``filename`` unpacked."""
        return cls(_stem(archive_stem(filename)))

    def numbered(self, minute: str, number: int) -> ReplicaName:
        """The name of upload ``number`` of the minute that `minute_stamp` gave."""
        return ReplicaName(self, minute, number)

    def latest(self, outcome: Outcome | None = None) -> str:
        """The name of the link to the last one, or to the last one with that outcome."""
        return f"{self.stem}.latest{f'-{outcome}' if outcome else ''}{self.extension}"


@dataclass(frozen=True, slots=True, order=True)
class ReplicaName:
    """One numbered name of a series; of one series, names sort by minute, then by number.

    >>> name = ReplicaName.parse("results.20261121.1432.10.xml")
    >>> name and (name.series.stem, name.minute, name.number, name.series.extension)
    ('results', '20261121.1432', 10, '.xml')
    """

    series: Series
    minute: str
    number: int

    @classmethod
    def parse(cls, entry: str) -> Self | None:
        """Read the name of a directory's entry; None for one that is no numbered name."""
        match = _NAME.fullmatch(entry)
        if not match:
            return None
        return cls(Series(match[1], match[4]), match[2], int(match[3]))

    def __str__(self) -> str:
        return f"{self.series.stem}.{self.minute}.{self.number}{self.series.extension}"


def next_number(entries: Iterable[str], series: Sequence[Series], minute: str) -> int:
    """The number for an upload that gets a name in each of ``series``, ``entries`` being there.

    >>> there = ["log.20261121.1432.0.gz", "log.20261121.1432.0", "log.20261121.1432.4.gz"]
    >>> next_number(there, [Series("log", ".gz"), Series("log")], "20261121.1432")
    5
    """
    frames = [(f"{one.stem}.{minute}.", one.extension) for one in series]
    numbers = (
        int(entry[len(front) : len(entry) - len(extension)])
        for entry in entries
        for front, extension in frames
        if _is_number(entry, front, extension)
    )
    return max(numbers, default=-1) + 1


def in_series(entries: Iterable[str], series: Series) -> list[ReplicaName]:
    """The entries of ``series``, that with the highest minute and number first.

    That is what ``latest`` should show when the one that it showed is gone.

    >>> there = ["a.20261121.1432.9.xml", "a.20261121.1432.10.xml", "a.latest.xml", "b.xml"]
    >>> [name.number for name in in_series(there, Series("a", ".xml"))]
    [10, 9]
    """
    names = (ReplicaName.parse(entry) for entry in entries if entry.startswith(series.stem))
    return sorted((name for name in names if name and name.series == series), reverse=True)


def _is_number(entry: str, front: str, extension: str) -> bool:
    if not (entry.startswith(front) and entry.endswith(extension)):
        return False
    digits = entry[len(front) : len(entry) - len(extension)]
    return digits.isascii() and digits.isdecimal()


def _split(filename: str) -> tuple[str, str]:
    stem, extension = split_extension(filename)
    looks_like = looks_like_replica(filename)
    while extension and (looks_like_replica(extension) or looks_like_replica(stem) != looks_like):
        suffix, dot, rest = extension[1:].partition(".")
        stem, extension = f"{stem}.{suffix}", dot + rest
    return stem, extension


def _stem(stem: str) -> str:
    could_be_changed = is_marked(stem) and looks_like_replica(stem.replace("_", "."))
    if looks_like_replica(stem) or could_be_changed:
        return mark(without_dots(stem), whole=stem, limit=MAX_ENTRY_BYTES)
    return stem
