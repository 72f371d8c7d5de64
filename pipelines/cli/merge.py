"""`pipelines merge`: put the results of a run's shards together, with one report and one verdict.

What was made in one part only is taken as it is; what several made is merged if it is known how
(`report.together`). The verdict is the worst of the parts. A part that is not there, or tests that
no part ran, are a failure: they may be what would have failed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines._errors import UsageError
from pipelines.cli.failures import WORST_FIRST
from pipelines.cli.part import NAME, Part, load
from pipelines.report.together import Counted, counted, put_together
from pipelines.report.words import columns, seconds

__all__ = ["lost", "main", "missing", "verdict"]

SHOWN = 20


def main(argv: Sequence[str]) -> int:
    """Merge parts; give the exit code of the whole run."""
    options = _parser().parse_args(list(argv))
    parts = sorted((load(Path(name)) for name in options.parts), key=lambda part: part.shard.index)
    _check(parts)
    target = Path(options.export).absolute()
    for part in parts:
        if part.directory.absolute() == target:
            raise UsageError(f"--export {options.export} is one of the parts; name another")
    trees = {str(part.directory): part.directory for part in parts}
    files = put_together(trees, target, leave_out={NAME})
    sys.stderr.writelines(f"{line}\n" for line in _report(parts, counted(target, files)))
    sys.stderr.write(f"merge: wrote {target}\n")
    return verdict(parts)


def verdict(parts: Sequence[Part]) -> int:
    """Give the exit code of the whole."""
    codes = {part.exit_code for part in parts} - {0}
    if missing(parts) or lost(parts):
        codes.add(1)
    known = [code for code in codes if code in WORST_FIRST]
    return min(known, key=WORST_FIRST.index) if known else max(codes, default=0)


def missing(parts: Sequence[Part]) -> list[str]:
    """Name the shards that are not among the parts."""
    there = {part.shard.index for part in parts}
    of = parts[0].shard.of
    return [f"{index}/{of}" for index in range(1, of + 1) if index not in there]


def lost(parts: Sequence[Part]) -> list[str]:
    """Name the tests that some part knew and no part ran."""
    every: dict[str, set[str]] = {}
    mine: dict[str, set[str]] = {}
    for part in parts:
        for stage in part.stages:
            for tests in stage.get("tests", ()):
                every.setdefault(stage["label"], set()).update(tests["every"])
                mine.setdefault(stage["label"], set()).update(tests["mine"])
    return [f"{label}: {n}" for label, names in every.items() for n in sorted(names - mine[label])]


def _check(parts: Sequence[Part]) -> None:
    """Refuse what can not be the parts of one run."""
    first = parts[0]
    seen: dict[int, Part] = {}
    for part in parts:
        if part.shard.of != first.shard.of:
            raise UsageError(
                f"{part.directory} is {part.shard} and {first.directory} is {first.shard}: "
                "they are of different runs"
            )
        if (other := seen.setdefault(part.shard.index, part)) is not part:
            raise UsageError(f"{other.directory} and {part.directory} are both {part.shard}")


def _report(parts: Sequence[Part], found: Counted) -> Iterator[str]:
    rows = [("part", "stage", "duration", "result", "why")]
    rows += [(str(part.shard), *_row(stage)) for part in parts for stage in part.stages]
    yield from columns(rows)
    yield from found.lines()
    for part in parts:
        if part.error:
            yield f"\nin part {part.shard}:\n{part.error}"
    if gone := missing(parts):
        yield f"\nerror: missing: {', '.join(gone)}; what they would have run did not run"
    elif names := lost(parts):
        yield f"\nerror: no part ran {len(names)} packages: the parts had different timings"
        yield from (f"  {name}" for name in names[:SHOWN])


def _row(stage: dict[str, Any]) -> tuple[str, str, str, str]:
    return stage["label"], seconds(stage["seconds"]), stage["result"], stage["why"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "pipelines merge",
        description="Put the results of the shards of a run together; exit as the run would have.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "parts", nargs="+", metavar="PART", help="directories that `run --shard --export` wrote"
    )
    parser.add_argument("--export", metavar="DEST", required=True, help="where the whole goes")
    return parser
