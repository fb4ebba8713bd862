"""What people read of the results: tables, plots, the page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from tests.benchmark import page, report
from tests.benchmark.bars import Bar, Group, plot
from tests.benchmark.goals import GOALS
from tests.benchmark.results import Results, Sample
from tests.benchmark.scale import LONG, MIB, QUICK
from tests.benchmark.servers import SYNCED
from tests.benchmark.works import all_works

WORKS = all_works(QUICK)


def _results() -> Results:
    """We take half of nginx's HEADs and all of Caddy's."""
    rates = {SYNCED: 500, "nginx": 1000, "Caddy": 500}
    samples = [
        Sample("head-known-16", name, 0, rate, 1, cpu_seconds=0.1, peak_bytes=MIB)
        for name, rate in rates.items()
    ]
    return Results("quick", {"processors": "2"}, samples, ["copyparty: no network"])


def test_columns_line_up() -> None:
    assert report.table(["a", "bb"], [["ccc", "d"]]) == "\n".join(
        ["| a   | bb |", "| --- | -- |", "| ccc | d  |"]
    )


def test_goals_are_judged_or_said_to_be_not_measured() -> None:
    found = {}
    for line in report.goal_table(_results()).splitlines()[2:]:
        title, _, reached, verdict = (cell.strip() for cell in line.strip("|").split("|"))
        found[title] = (reached, verdict)
    assert len(found) == len(GOALS)
    assert found["HEAD, 16 connections, against nginx"] == ("0.50 ×", "yes")
    assert found["HEAD, 16 connections, against Caddy"] == ("1.00 ×", "**no**")
    assert found["HEAD, 16 connections, against copyparty"] == ("–", "not measured")


def test_the_fastest_of_a_work_comes_first() -> None:
    rows = report.work_table(_results(), WORKS).splitlines()[2:]
    assert [re.split(r" *\| *", row)[2] for row in rows] == ["nginx", SYNCED, "Caddy"]
    assert "| 1,000 requests | 1,000 – 1,000 | 100 µs" in re.sub(" +", " ", rows[0])


def test_bytes_are_shown_as_megabytes() -> None:
    assert report.amount(1_234_000_000, "bytes") == "1,234 MB"
    assert report.amount(2.5, "files") == "2.50 files"


def test_what_was_left_out_is_named() -> None:
    assert report.report(_results(), WORKS).endswith("Left out:\n\n- copyparty: no network")


def test_every_goal_is_about_works_and_contestants_that_are_measured() -> None:
    for works in (WORKS, all_works(LONG)):
        measured = {(work.key, name) for work in works for name in work.contestants}
        assert {side for goal in GOALS for side in (goal.ours, goal.theirs)} <= measured


def test_works_have_keys_of_their_own() -> None:
    keys = [work.key for work in WORKS]
    assert len(set(keys)) == len(keys)


def test_bars_are_as_long_as_their_values_say() -> None:
    bars = [Bar("a & b", 100, "100", ours=True), Bar("c", 50, "50", ours=False)]
    root = ElementTree.fromstring(plot([Group("Uploads", bars)]))
    rects = root.findall("{*}rect")
    widths = [float(rect.attrib["width"]) for rect in rects]
    assert widths[0] == 2 * widths[1]
    assert rects[0].attrib["fill"] != rects[1].attrib["fill"]
    texts = [text.text for text in root.findall("{*}text")]
    assert texts == ["Uploads", "a & b", "100", "c", "50"]


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    target = tmp_path / "performance.md"
    begin, end = page.BEGIN, page.END
    target.write_text(f"# Performance\n\n{begin}\nold\n{end}\n\n## Why\n")
    page.write(_results(), WORKS, target)
    once = target.read_text()
    page.write(_results(), WORKS, target)
    assert target.read_text() == once
    assert once.startswith(f"# Performance\n\n{begin}\n")
    assert once.endswith(f"{end}\n\n## Why\n")
    assert "old" not in once
    shown = re.findall(r"\]\((performance/.*?\.svg)\)", once)
    assert shown == ["performance/asking.svg"]
    assert (tmp_path / shown[0]).is_file()
