"""ClearUp looks behind dead processes, in an order that loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from httpbucket.domain.errors import StorageUnavailable
from httpbucket.services.clear_up import ClearUp


class Notes:
    """Stands for every port, and notes what is asked of it."""

    def __init__(self, *, swept: int = 0, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._swept = swept
        self._fails = fails

    def port(self, name: str) -> Any:
        return _Port(self, name)

    def note(self, what: str) -> int:
        self.asked.append(what)
        if self._fails and what == "replicas.finish":
            raise StorageUnavailable("The store cannot be used now: bad luck.")
        return self._swept if what.startswith("staging") else 0


class _Port:
    def __init__(self, notes: Notes, name: str) -> None:
        self._notes = notes
        self._name = name

    def sweep(self, *, idle_too: bool = True) -> int:
        return self._notes.note(f"{self._name}.sweep" + ("" if idle_too else " of the busy"))

    def finish(self) -> int:
        return self._notes.note(f"{self._name}.finish")

    def recover(self) -> int:
        return self._notes.note(f"{self._name}.recover")


def clear_up(notes: Notes) -> ClearUp:
    return ClearUp(
        staging=notes.port("staging"),
        partials=notes.port("partials"),
        replicas=notes.port("replicas"),
        blobs=notes.port("blobs"),
    )


def test_pins_go_before_the_names_that_they_stand_for_are_made_or_freed() -> None:
    notes = Notes()
    clear_up(notes).run()
    assert notes.asked == ["staging.sweep", "partials.sweep", "replicas.finish", "blobs.recover"]


def test_beside_living_processes_only_what_was_under_way_is_looked_at() -> None:
    notes = Notes()
    clear_up(notes).run(idle_too=False)
    assert notes.asked == ["staging.sweep of the busy", "replicas.finish", "blobs.recover"]


def test_a_death_is_told_though_what_comes_after_fails() -> None:
    notes, told = Notes(swept=1, fails=True), list[str]()
    with pytest.raises(StorageUnavailable):
        clear_up(notes).run(on_death=lambda: told.append("dead"))
    assert told == ["dead"]


def test_who_died_without_anything_under_way_is_not_told() -> None:
    told = list[str]()
    clear_up(Notes()).run(on_death=lambda: told.append("dead"))
    assert told == []
    clear_up(Notes(swept=2)).run(on_death=lambda: told.append("dead"))
    assert told == ["dead"]
