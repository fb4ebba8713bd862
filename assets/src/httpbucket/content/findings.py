"""Findings about members, gathered while they are read: many, but never without bound."""

from __future__ import annotations

from httpbucket.domain.upload import Finding

#: So many are named in a receipt; the rest are counted.
MAX_NAMED = 100

_LONGEST_SHOWN = 120


class Findings:
    """Collects findings about one upload; the first `MAX_NAMED` in full, the rest as a number."""

    def __init__(self) -> None:
        self._named: list[Finding] = []
        self._unnamed = 0

    def add(self, problem: str, sentence: str) -> None:
        """Tell that something was left out, changed or noticed."""
        if len(self._named) < MAX_NAMED:
            self._named.append(Finding(problem, sentence))
        else:
            self._unnamed += 1

    def told(self) -> tuple[Finding, ...]:
        """What the producer is told, in the order of discovery."""
        if not self._unnamed:
            return tuple(self._named)
        more = Finding("more-findings", f"And {self._unnamed} more findings like these.")
        return (*self._named, more)


def shown(name: str | bytes) -> str:
    """A member's name as a sentence shows it: quoted, shortened in the middle.

    Control and bidirectional characters come out escaped, for `repr` escapes what does not print.
    """
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    if len(text) > _LONGEST_SHOWN:
        half = _LONGEST_SHOWN // 2
        text = f"{text[:half]}…{text[-half:]}"
    return repr(text)
