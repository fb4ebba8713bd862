"""Everything that is measured, in its order."""

from __future__ import annotations

from tests.benchmark import asking, fetching, sending, trees, unpacking
from tests.benchmark.scale import Scale
from tests.benchmark.work import Work


def all_works(scale: Scale) -> list[Work]:
    """All works; those that unpack come last, because they leave processes large."""
    return [
        *asking.works(scale),
        *sending.works(scale),
        *asking.works_of_many(),
        *unpacking.works(scale),
        *fetching.works(scale),
        *trees.works(scale),
    ]
