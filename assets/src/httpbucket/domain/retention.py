"""How long uploads are kept: what the operator set, what a client asks for, what is beyond that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from httpbucket.domain.errors import InvalidRetention
from httpbucket.domain.replica import ReplicaName, Series
from httpbucket.domain.template import Filled, ReplicaTemplate
from httpbucket.domain.upload import Record, Replica


@dataclass(frozen=True, slots=True)
class TemplateRetention:
    """What a template says of its uploads: days to be kept, and how many of a series; None: all."""

    template: ReplicaTemplate
    days: int | None = None
    keep: int | None = None

    def directory(self, headers: Mapping[str, str]) -> str | None:
        """Where the template puts an upload with these headers; None when nowhere."""
        filled = self.template.fill(headers)
        return f"replica/{filled.directory}" if isinstance(filled, Filled) else None


@dataclass(frozen=True, slots=True)
class Retention:
    """The operator's rules. ``days`` None is for ever; ``max_days`` bounds what clients ask for."""

    days: int | None = None
    max_days: int | None = None
    templates: tuple[TemplateRetention, ...] = ()

    @property
    def supersedes(self) -> bool:
        """Whether an upload may go because newer ones took its places."""
        return any(one.keep is not None for one in self.templates)

    def parse_asked(self, text: str) -> int | None:
        """Read a client's ``Retention-Days``; None when it says nothing. Raises InvalidRetention.

        >>> Retention(max_days=90).parse_asked("30")
        30
        """
        if not text.strip():
            return None
        if not re.fullmatch(r"\s*0*[1-9][0-9]{0,5}\s*", text):
            raise InvalidRetention("Retention-Days is a whole number of days above 0.")
        days = int(text)
        if self.max_days is not None and days > self.max_days:
            raise InvalidRetention(
                f"Retention-Days: {days} is more than this server takes; at most {self.max_days} "
                "(RETENTION_MAX_DAYS).",
                retention_max_days=self.max_days,
            )
        return days

    def expires(
        self, received: datetime, headers: Mapping[str, str], *, asked: int | None
    ) -> datetime | None:
        """When an upload may go: as its client asked, else by its templates, else by ``days``.

        Of several templates that say something the longest counts. None is never.
        """
        chosen = [one.days for one in self.templates if one.days and one.directory(headers)]
        days = asked or max(chosen, default=self.days)
        if days is None:
            return None
        try:
            return received + timedelta(days=days)
        except OverflowError:
            return None


class Places:
    """Counts the uploads of each series, newest first, against what templates keep of them."""

    def __init__(self, retention: Retention) -> None:
        self._templates = [one for one in retention.templates if one.keep is not None]
        self._taken: Counter[tuple[str, Series]] = Counter()

    def take(self, record: Record) -> bool:
        """Give an upload its places; True when it got none of those that it asked for.

        The caller passes every upload, newest first. An upload stays while one of its replicas lies
        in a directory where all are kept, or is among the newest of its series.
        """
        if not self._templates or not record.replicas:
            return False
        limits = self._limits(record)
        # All of them, because each counts.
        has_place = [self._take(replica, limits) for replica in record.replicas]
        return not any(has_place)

    def _limits(self, record: Record) -> dict[str, int]:
        found: dict[str, int] = {}
        for directory, keep in self._chosen(record):
            found[directory] = max(keep, found.get(directory, 0))
        return found

    def _chosen(self, record: Record) -> Iterator[tuple[str, int]]:
        for one in self._templates:
            directory = one.directory(record.headers)
            if directory is not None and one.keep is not None:
                yield directory, one.keep

    def _take(self, replica: Replica, limits: Mapping[str, int]) -> bool:
        name, limit = ReplicaName.parse(replica.name), limits.get(replica.directory)
        if limit is None or name is None:
            return True
        self._taken[replica.directory, name.series] += 1
        return self._taken[replica.directory, name.series] <= limit
