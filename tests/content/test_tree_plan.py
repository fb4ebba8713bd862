"""Which member becomes which file, and what its producer is told."""

from __future__ import annotations

import tracemalloc

import pytest

from httpbucket.content.findings import MAX_NAMED, Findings, shown
from httpbucket.content.members import Member, MemberKind
from httpbucket.content.symlinks import MAX_CHAIN, resolve_symlink
from httpbucket.content.tree_plan import PlannedFile, TreePlan

FILE, DIRECTORY = MemberKind.FILE, MemberKind.DIRECTORY
HARDLINK, SYMLINK, OTHER = MemberKind.HARDLINK, MemberKind.SYMLINK, MemberKind.OTHER


def planned(*members: Member) -> tuple[dict[str, int | None], list[str]]:
    """Path → the position of the member whose content it has (None: directory); the findings."""
    findings = Findings()
    plan: TreePlan[int] = TreePlan(findings)
    for position, member in enumerate(members):
        if member.kind is FILE:
            plan.add_file(member, position)
        else:
            plan.add(member)
    tree = {
        path: found.content if isinstance(found, PlannedFile) else None
        for path, found in plan.entries()
    }
    return tree, [finding.problem for finding in findings.told()]


def test_the_tree_comes_in_order_of_path() -> None:
    tree, _ = planned(Member("b", FILE), Member("a/c", FILE), Member("a", DIRECTORY))
    assert list(tree.items()) == [("a/c", 1), ("b", 0)]


def test_of_several_members_with_one_name_the_last_counts() -> None:
    tree, problems = planned(Member("a", FILE), Member("a", FILE), Member("a", FILE))
    assert (tree, problems) == ({"a": 2}, ["duplicate-member"] * 2)


def test_a_directory_named_twice_is_nothing_to_tell() -> None:
    assert planned(Member("d", DIRECTORY), Member("d", DIRECTORY)) == ({"d": None}, [])


def test_only_directories_with_nothing_below_are_listed() -> None:
    tree, _ = planned(
        Member("a", DIRECTORY),
        Member("a/b", DIRECTORY),
        Member("a/b/c", DIRECTORY),
        Member("d", DIRECTORY),
        Member("d/f", FILE),
    )
    assert tree == {"a/b/c": None, "d/f": 4}


def test_a_file_that_is_a_directory_too_is_left_out_and_what_is_below_stays() -> None:
    tree, problems = planned(Member("a", FILE), Member("a/b", FILE), Member("a/b/c", FILE))
    assert (tree, problems) == ({"a/b/c": 2}, ["file-is-directory"] * 2)


def test_a_directory_after_a_file_of_its_name_wins_and_is_told() -> None:
    assert planned(Member("a", FILE), Member("a", DIRECTORY)) == ({"a": None}, ["duplicate-member"])


def test_a_directory_of_nothing_but_left_out_members_is_empty() -> None:
    tree, problems = planned(
        Member("d", DIRECTORY),
        Member("d/p", OTHER, target="a FIFO"),
        Member("d/l", SYMLINK, target="/"),
    )
    assert (tree, problems) == ({"d": None}, ["member-left-out", "link-left-out"])


def test_a_hardlink_keeps_the_content_that_its_name_had_then() -> None:
    tree, problems = planned(
        Member("a", FILE), Member("h", HARDLINK, target="a"), Member("a", FILE)
    )
    assert (tree, problems) == ({"a": 2, "h": 0}, ["duplicate-member"])


def test_hardlinks_to_hardlinks_and_to_themselves_are_fine() -> None:
    tree, problems = planned(
        Member("a", FILE),
        Member("b", HARDLINK, target="a"),
        Member("c", HARDLINK, target="b"),
        Member("a", HARDLINK, target="a"),
    )
    assert (tree, problems) == ({"a": 0, "b": 0, "c": 0}, [])


@pytest.mark.parametrize("target", ["later", "missing", "d", "s"])
def test_hardlinks_to_anything_but_an_earlier_file_are_left_out(target: str) -> None:
    tree, problems = planned(
        Member("d", DIRECTORY),
        Member("s", SYMLINK, target="later"),
        Member("h", HARDLINK, target=target),
        Member("later", FILE),
    )
    assert (tree, problems) == ({"d": None, "later": 3, "s": 3}, ["link-left-out"])


def test_symlinks_may_lead_to_later_members_and_over_eight_others() -> None:
    chain = [Member(f"l{n}", SYMLINK, target=f"l{n + 1}") for n in range(MAX_CHAIN + 1)]
    tree, problems = planned(*chain, Member(f"l{MAX_CHAIN + 1}", FILE))
    assert sorted(tree) == [f"l{n}" for n in range(1, MAX_CHAIN + 2)]
    assert problems == ["link-left-out"]


@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("f", "d/f"),
        ("./f", "d/f"),
        ("../g", "g"),
        ("..//d/./f", "d/f"),
        ("../../g", None),
        ("/d/f", None),
        ("f/", None),
        ("link", None),
    ],
)
def test_a_symlink_is_followed_from_its_own_directory(target: str, end: str | None) -> None:
    assert resolve_symlink("d/link", {"d/link": target}) == end


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("README", "readme"),
        ("readme", "README"),
        ("Readme", "README"),
        ("caf\u00e9", "cafe\u0301"),
        ("straße", "STRASSE"),
        ("a/B", "A/b"),
    ],
)
def test_names_that_look_alike_to_some_file_systems_are_kept_and_told(one: str, other: str) -> None:
    tree, problems = planned(Member(one, FILE), Member(other, FILE))
    assert (set(tree), problems) == ({one, other}, ["lookalike-members"])


def test_names_in_capitals_alone_are_nothing_to_tell() -> None:
    assert planned(Member("README", FILE), Member("Ä", FILE))[1] == []


def test_findings_are_named_up_to_a_number_and_then_counted() -> None:
    findings = Findings()
    for number in range(MAX_NAMED + 7):
        findings.add("problem", str(number))
    told = findings.told()
    assert (len(told), told[-1].problem) == (MAX_NAMED + 1, "more-findings")
    assert "7 more" in told[-1].sentence


def test_a_name_is_shown_short_and_without_its_tricks() -> None:
    assert shown("a\u202eb\n") == "'a\\u202eb\\n'"
    assert shown(b"caf\xc3\xa9\xff") == "'café\\\\xff'"
    assert len(shown("x" * 10_000)) < 150


def test_a_hundred_thousand_members_fit_in_memory() -> None:
    tracemalloc.start()
    plan: TreePlan[int] = TreePlan(Findings())
    for number in range(100_000):
        path = f"Some-Project/build/reports/Coverage/{number // 100:04}/file-{number:06}.html"
        plan.add_file(Member(path, FILE, 1, 1.5), number)
    count = sum(1 for _ in plan.entries())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 60 * 2**20
