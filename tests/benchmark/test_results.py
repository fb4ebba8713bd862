"""Medians, ratios, and results that come back from a file."""

from __future__ import annotations

from pathlib import Path

from tests.benchmark.results import Results, Sample


def _sample(contestant: str, number: int, *, seconds: float, **more: int | float) -> Sample:
    return Sample("put", contestant, number, 100, seconds, **more)  # type: ignore[arg-type]


def _results(*samples: Sample) -> Results:
    return Results("quick", {"processors": "2"}, list(samples))


def test_a_rate_is_the_median_of_all_rounds() -> None:
    results = _results(
        _sample("ours", 0, seconds=1), _sample("ours", 1, seconds=50), _sample("ours", 2, seconds=2)
    )
    assert results.rates("put", "ours") == [100, 2, 50]
    assert results.rate("put", "ours") == 50
    assert results.rounds() == 3


def test_what_was_not_measured_has_no_rate_and_no_ratio() -> None:
    results = _results(_sample("ours", 0, seconds=1))
    assert results.rate("put", "theirs") is None
    assert results.ratio(("put", "ours"), ("put", "theirs")) is None
    assert results.ratio(("put", "theirs"), ("put", "ours")) is None


def test_a_ratio_is_that_of_the_medians() -> None:
    results = _results(_sample("ours", 0, seconds=1), _sample("theirs", 0, seconds=4))
    assert results.ratio(("put", "ours"), ("put", "theirs")) == 4


def test_processor_time_is_counted_for_a_unit() -> None:
    results = _results(
        _sample("ours", 0, seconds=1, cpu_seconds=0.5), _sample("bare", 0, seconds=1)
    )
    assert results.cpu_seconds_per_unit("put", "ours") == 0.005
    assert results.cpu_seconds_per_unit("put", "bare") is None


def test_of_memory_the_most_of_all_rounds_counts() -> None:
    results = _results(
        _sample("ours", 0, seconds=1, peak_bytes=7, grown_bytes=2),
        _sample("ours", 1, seconds=1, peak_bytes=9, grown_bytes=1),
        _sample("bare", 0, seconds=1),
    )
    assert results.peak_bytes("put", "ours") == 9
    assert results.peak_bytes("put", "bare") is None
    assert results.grown_bytes(["ours", "bare"], until=[]) == (2, None)


def test_memory_that_unpacking_left_behind_is_told_apart_for_each_server() -> None:
    samples = [
        ("small", "ours", 0, 1),
        ("unpack", "ours", 0, 5),
        ("small", "ours", 0, 6),
        ("small", "other", 0, 3),
        ("small", "ours", 1, 2),
    ]
    results = _results(
        *(Sample(work, who, number, 1, 1, grown_bytes=size) for work, who, number, size in samples)
    )
    assert results.grown_bytes(["ours", "other"], until=["unpack"]) == (3, 6)


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = _results(_sample("ours", 0, seconds=1, cpu_seconds=0.5))
    results.leave_out("Caddy: apt-get install caddy")
    results.leave_out("Caddy: apt-get install caddy")
    results.save(tmp_path / "new" / "quick.json")
    assert Results.load(tmp_path / "new" / "quick.json") == results
    assert results.left_out == ["Caddy: apt-get install caddy"]
