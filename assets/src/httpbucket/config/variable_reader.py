"""Reading variables one by one, so that all mistakes are told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from httpbucket.config import values
from httpbucket.domain.retention import Retention, TemplateRetention
from httpbucket.domain.template import ReplicaTemplate

_MOST_TEMPLATES = 11


class VariableReader:
    """Reads variables, and collects a sentence for each mistake in ``mistakes``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []

    def read(self, name: str, default: str, parse: Callable[[str], Any]) -> Any:
        """What the variable, or else ``default``, is read as; "" where both are empty."""
        text = self._environ.get(name, "").strip() or default
        try:
            return parse(text) if text else ""
        except ValueError as error:
            self.mistakes += [f"{name}: {line.rstrip('.')}." for line in str(error).splitlines()]
            return parse(default) if default else ""

    def read_templates(self) -> tuple[ReplicaTemplate, ...]:
        """The templates in ``REPLICATE_0`` and so on."""
        names = (f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES))
        texts = {name: self._environ.get(name, "").strip() for name in names}
        read = [self.read(name, "", ReplicaTemplate.parse) for name, text in texts.items() if text]
        beyond = [
            name
            for name, text in self._environ.items()
            if _beyond_last_template(name) and text.strip()
        ]
        self.mistakes += [
            f"{name}: templates are REPLICATE_0 to REPLICATE_10." for name in sorted(beyond)
        ]
        return tuple(filter(None, read))

    def read_retention(self) -> Retention:
        """How long uploads are kept, in general and by template."""
        names = (f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES))
        read = [self._read_template_retention(name) for name in names]
        return Retention(
            days=self.read("RETENTION_DAYS", "", values.count) or None,
            max_days=self.read("RETENTION_MAX_DAYS", "", values.count) or None,
            templates=tuple(filter(None, read)),
        )

    def _read_template_retention(self, name: str) -> TemplateRetention | None:
        days = self.read(f"{name}_DAYS", "", values.count) or None
        keep = self.read(f"{name}_KEEP", "", values.count) or None
        text = self._environ.get(name, "").strip()
        if (days or keep) and not text:
            self.mistakes.append(f"{name}_DAYS and {name}_KEEP say something of no template.")
        try:
            return TemplateRetention(ReplicaTemplate.parse(text), days, keep) if text else None
        except ValueError:
            # `read_templates` tells what is wrong with it.
            return None


def _beyond_last_template(name: str) -> bool:
    known = {f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES)}
    return re.fullmatch(r"REPLICATE_\d+", name) is not None and name not in known
