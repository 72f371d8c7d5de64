"""`python -m ci.mutate [--rounds N] [--seed N] [--project NAME …] [--place DIR]`.

Mutates real Go projects and holds every result of a cached run against an uncached one.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ci.mutate.course import Course
from ci.mutate.projects import PROJECTS
from ci.mutate.table import line, table
from ci.mutate.trees import clear

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, print the table; 1 if anything was stale or wrong."""
    options = _options(arguments)
    place = (options.place or Path(tempfile.mkdtemp(prefix="pipelines-mutate-"))).resolve()
    names = options.project or list(PROJECTS)
    rows: dict[str, list[dict[str, Any]]] = {}
    try:
        for name in names:
            share = -(-options.rounds // len(names))
            course = Course(PROJECTS[name], place / name, options.seed)
            for row in course.run(share):
                print(line(name, row), flush=True)
            rows[name] = course.rows
    finally:
        if options.place is None:
            clear(place)
    print("\n" + table(rows))
    every = [row for each in rows.values() for row in each]
    return 1 if any(row[what] for row in every for what in ("stale", "missed", "wrong")) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ci.mutate", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of all projects together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--project", action="append", choices=PROJECTS)
    parser.add_argument(
        "--place", type=Path, help="keep everything here; go on if there is a start"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
