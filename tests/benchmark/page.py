"""The results in the documentation: a section of a page, and plots beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmark.bars import Bar, Group, plot
from tests.benchmark.report import amount, report
from tests.benchmark.results import Results
from tests.benchmark.servers import SYNCED
from tests.benchmark.work import Work

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"

BEGIN = "<!-- written by python -m tests.benchmark --write-docs -->"
END = "<!-- end of what was written -->"

#: File name, what the plot shows, and keys of works begin with.
_PLOTS = (
    ("asking", "Questions", ("head-", "batch-")),
    ("sending", "Uploads", ("put-", "form-", "xml-", "hash-", "bare-", "tar-", "parts-")),
    ("unpacking", "Archive files", ("unpack-", "again-", "tree-")),
    ("fetching", "Downloads", ("get-", "zip-")),
)


def write(results: Results, works: Sequence[Work], page: Path = PAGE) -> None:
    """Replace what was written before on the page, and the plots."""
    plots = page.parent / page.stem
    plots.mkdir(exist_ok=True)
    links = []
    for name, title, keys in _PLOTS:
        groups = [
            group
            for work in works
            if work.key.startswith(keys) and (group := _group(results, work))
        ]
        if groups:
            (plots / f"{name}.svg").write_text(plot(groups))
            links.append(f"![{title}, a second; ours in blue]({page.stem}/{name}.svg)")
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    section = "\n\n".join([BEGIN, report(results, works), *links, END])
    page.write_text(before + section + after)


def _group(results: Results, work: Work) -> Group | None:
    rates = {name: results.rate(work.key, name) for name in results.contestants(work.key)}
    ranked = sorted(
        ((rate, name) for name, rate in rates.items() if rate is not None), reverse=True
    )
    bars = [
        Bar(name, rate, amount(rate, work.unit), ours=name.startswith(SYNCED))
        for rate, name in ranked
    ]
    return Group(work.title, bars) if bars else None
