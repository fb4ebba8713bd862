"""``make benchmark``: what we do beside what others do, and beside what it could take at least."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

from tests.benchmark import page, report, rounds, scale
from tests.benchmark.peers import BUILD, PEERS
from tests.benchmark.results import Results
from tests.benchmark.servers import BUCKETS
from tests.benchmark.works import all_works


def main() -> None:
    """Run, print the tables, and keep the results as JSON."""
    options = _options()
    # As at Ctrl-C: what was started is stopped, what was written is deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = scale.LONG if options.long else scale.QUICK
    if options.minutes:
        chosen = replace(chosen, limit_seconds=60 * options.minutes)
    part = "" if options.only == [""] else "-part"
    kept = BUILD / f"{chosen.name}{part}.json"
    works = [work for work in all_works(chosen) if work.key.startswith(tuple(options.only))]
    if options.again:
        results = Results.load(kept)
    else:
        servers = BUCKETS if options.alone else (*BUCKETS, *PEERS)
        place = options.directory or BUILD
        place.mkdir(parents=True, exist_ok=True)
        # Servers of tests print their log at their end.
        quiet = redirect_stdout(StringIO())
        with quiet, tempfile.TemporaryDirectory(dir=place) as directory:
            results = rounds.run(
                Path(directory),
                chosen,
                works,
                servers,
                say=_say,
                keep=lambda found: found.save(kept),
            )
        results.save(kept)
    print(report.report(results, works))
    print(f"\nKept in {kept}")
    if options.write_docs:
        page.write(results, works)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--long", action="store_true", help="everything at its full size")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="KEY", help="works whose key begins so"
    )
    parser.add_argument(
        "--minutes", type=float, help="begin no round that would probably end later"
    )
    parser.add_argument("--alone", action="store_true", help="without the other servers")
    parser.add_argument("--directory", type=Path, help="where to work; on the disk that counts")
    parser.add_argument(
        "--again", action="store_true", help="measure nothing; show the last results"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="write them into the documentation"
    )
    return parser.parse_args()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


main()
