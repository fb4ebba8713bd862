"""What people read: tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.benchmark import goals
from tests.benchmark.results import Results
from tests.benchmark.scale import MIB
from tests.benchmark.work import Work

_NONE = "–"


def report(results: Results, works: Sequence[Work]) -> str:
    """Everything: the machine, the goals, every work, and what is missing."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    rough = "" if results.scale == "long" else " (rough: short, and maybe on a busy machine)"
    return "\n\n".join(
        [
            f"Profile {results.scale}{rough}, {results.rounds()} rounds: {machine}.",
            goal_table(results),
            memory_sentence(results),
            work_table(results, works),
            _left_out(results),
        ]
    )


def goal_table(results: Results) -> str:
    """A line for each goal: what was wanted, what was reached."""
    rows = []
    for goal in goals.GOALS:
        reached = goal.reached(results)
        rows.append([goal.title, f"{goal.least:g} ×", *_judged(reached, goal.least)])
    return table(["ratio of medians", "goal", "reached", ""], rows)


def _judged(reached: float | None, least: float) -> tuple[str, str]:
    if reached is None:
        return _NONE, "not measured"
    return f"{reached:.2f} ×", "yes" if reached >= least else "**no**"


def memory_sentence(results: Results) -> str:
    """How far our processes grew beyond their idle size."""
    plain, unpacking = (
        _NONE if size is None else f"{size / MIB:.0f} MiB" for size in goals.grown(results)
    )
    return (
        f"Memory: one of our processes grew by at most {plain} beyond its idle size before anything"
        f" was unpacked (goal: {goals.MOST_GROWN // MIB}), and by {unpacking} from then on"
        f" (goal: {goals.MOST_GROWN_UNPACKING // MIB})."
    )


def work_table(results: Results, works: Sequence[Work]) -> str:
    """A line for each work and contestant, the fastest of a work first."""
    rows = []
    for work in works:
        names = results.contestants(work.key)
        ranked = sorted(names, key=lambda name: -(results.rate(work.key, name) or 0))
        for place, name in enumerate(ranked):
            note = results.note(work.key, name)
            who = f"{name} ({note})" if note else name
            rows.append([work.title if place == 0 else "", who, *_figures(results, work, name)])
    heads = ["work", "contestant", "a second", "range", "server CPU", "largest process"]
    return table(heads, rows)


def _figures(results: Results, work: Work, name: str) -> list[str]:
    rates = results.rates(work.key, name)
    median = amount(statistics.median(rates), work.unit)
    least, most = (amount(rate, work.unit).split()[0] for rate in (min(rates), max(rates)))
    cpu = results.cpu_seconds_per_unit(work.key, name)
    peak = results.peak_bytes(work.key, name)
    return [
        median,
        f"{least} – {most}",
        _NONE if cpu is None else _cost(cpu, work.unit),
        _NONE if peak is None else f"{peak / MIB:.0f} MiB",
    ]


def _cost(cpu_seconds: float, unit: str) -> str:
    """Processor time for a unit, or for a GB."""
    if unit == "bytes":
        return f"{cpu_seconds * 1e9:.2f} s/GB"
    return f"{cpu_seconds * 1e6:,.0f} µs"


def amount(value: float, unit: str) -> str:
    """A number as people read it; bytes as MB."""
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    digits = 0 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown whose columns also line up as plain text."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _left_out(results: Results) -> str:
    if not results.left_out:
        return "Nothing was left out."
    return "Left out:\n\n" + "\n".join(f"- {what}" for what in results.left_out)
