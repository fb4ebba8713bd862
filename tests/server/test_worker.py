"""How many threads a worker may have."""

from __future__ import annotations

import resource

import pytest

from httpbucket.server.worker import MOST_THREADS, most_threads


@pytest.mark.parametrize(
    ("descriptors", "most"), [(64, 5), (1024, 125), (65536, MOST_THREADS), (8, -2)]
)
def test_threads_are_as_many_as_descriptors_suffice_for(descriptors: int, most: int) -> None:
    assert most_threads(descriptors) == most


def test_who_may_open_any_number_of_files_has_the_most_threads() -> None:
    assert most_threads(resource.RLIM_INFINITY) == MOST_THREADS
