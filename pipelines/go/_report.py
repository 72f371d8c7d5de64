"""Tests with reports: JUnit, the events as JSON, coverage, timings; also when tests fail.

A report is the same directory whether one `go test` made it or several beside each other: events
one after the other, coverage merged, one JUnit. How each `go test` is kept is in `_run`, which
packages it gets in `_plan`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from pipelines._dagger import dagger
from pipelines._errors import StageFailed
from pipelines._matrix import gather
from pipelines._memo import mark_forced
from pipelines._spans import note
from pipelines.go._plan import Cell, Plan, planned, tell
from pipelines.go._ready import chosen_for, ready
from pipelines.go._results import Package, Results, Test
from pipelines.go._run import COVERAGE, EVENTS, anew, equipped, joined, keeping, read
from pipelines.go._survey import module_of
from pipelines.go._target import OUT
from pipelines.go._testing import Choices, Testing
from pipelines.go._unmatched import unmatched
from pipelines.report import profiles
from pipelines.report import timings as recorded

__all__ = ["TestsFailed", "report"]

SHOWN = 20  # failures that the message has, files that are read to point at lines
LINES = 12  # of one failure in the message


class TestsFailed(StageFailed):
    """Tests failed. `results` says which, `outputs` is the directory of reports."""

    __test__ = False

    def __init__(self, message: str, results: Results, outputs: dagger.Directory) -> None:
        super().__init__(message)
        self.results = results
        self.outputs = outputs


async def report(
    source: dagger.Directory,
    *packages: str,
    coverage: bool = True,
    rerun: int = 0,
    **options: Unpack[Testing],
) -> dagger.Directory:
    """Run the tests of packages, by default of all; give a directory of reports.

    In it: `junit.xml`, `tests.json` (Go's events, a line each), `timings.json` (for the next run's
    `timings`), and, where a package with tests could be built, `coverage.out` and `coverage.txt`.
    `pipelines run --export DIR` writes it also when tests fail.

    Args:
        source: The repository. Its `.git` is left out.
        packages: Packages or patterns; by default `./...`.
        coverage: Whether to measure coverage.
        rerun: How often to run failed tests again; what passes then is flaky and fails nothing.
        options: The arguments of `test`.

    Raises:
        TestsFailed: tests failed, or packages could not be built; the message names them.
        dagger.ExecError: Go did not come to run tests.
        UsageError: no package matches.
    """
    chosen = await chosen_for(source, options)
    plan = await planned(source, packages or ("./...",), chosen)
    tell(plan)
    module = await module_of(source, chosen.module)
    cells = _Cells(source, chosen, module, coverage=coverage, rerun=rerun)
    if len(plan.cells) == 1:
        ran = [await cells.run(plan.cells[0])]
    else:
        work = {f"cell {n}": cells.run(cell) for n, cell in enumerate(plan.cells, 1)}
        ran = list((await gather(work, fail_fast=False)).values())
    return await _finished(source, plan, ran)


@dataclass(frozen=True, slots=True)
class _Ran:
    """What one `go test` left."""

    container: dagger.Container
    files: dagger.Directory
    results: Results
    failed: bool


@dataclass(frozen=True, slots=True)
class _Cells:
    """Runs cells of one report."""

    source: dagger.Directory
    chosen: Choices
    module: str
    coverage: bool
    rerun: int

    async def run(self, cell: Cell) -> _Ran:
        """Run one `go test`, and its failed tests again if that is asked for."""
        container = equipped(await ready(self.source, cell.packages, self.chosen))
        more = [f"-coverprofile={OUT}/{COVERAGE}"] if self.coverage else []
        command = self.chosen.command(cell.packages, "-json", *more, seconds=cell.seconds)
        files, failure = await keeping(container, command)
        results = await read(container, files, self.module, self.chosen.module)
        if failure is not None and (none := unmatched(cell.packages, failure, results)):
            raise none
        if failure is not None and not results.packages:
            raise failure
        for _ in range(self.rerun if failure is not None else 0):
            for path, pattern in _again(results):
                results = results.merged(await self._again(container, path, pattern, cell))
        return _Ran(container, files, results, failure is not None)

    async def _again(
        self, container: dagger.Container, path: str, pattern: str, cell: Cell
    ) -> Results:
        again = anew(container)
        command = self.chosen.command(
            [path], "-json", "-count=1", run=pattern, seconds=cell.seconds
        )
        files, _ = await keeping(again, command)
        return await read(again, files, self.module, self.chosen.module)


async def _finished(source: dagger.Directory, plan: Plan, ran: Sequence[_Ran]) -> dagger.Directory:
    """Make one report of what ran."""
    results = Results(
        tuple(package for one in ran for package in one.results.packages),
        "".join(one.results.noise for one in ran),
    )
    results = await _pointed(source, results)
    files = await _together(ran)
    if profile := await _profile(ran):
        # Go writes packages as they end: sorted, equal coverage is an equal file.
        files = files.with_new_file(COVERAGE, profiles.write(profile))
        files = files.with_new_file("coverage.txt", profiles.summary(profile))
    from pipelines.go._junit import junit

    files = files.with_new_file("junit.xml", junit(results))
    files = files.with_new_file("timings.json", recorded.write(_timings(plan, results)))
    _tell(results, profiles.percent(profile.blocks.values()) if profile else None)
    if any(one.failed for one in ran) and results.failed:
        raise TestsFailed(_message(results), results, files)
    return mark_forced(files)


async def _pointed(source: dagger.Directory, results: Results) -> Results:
    """Read what tests logged from and what they failed at, where their output does not say."""
    files = [file for file in results.doubtful if file.endswith(".go") and file[0] != "."][:SHOWN]
    there = await source.filter(include=files).glob("**") if files else []
    sources = {
        file: (await source.file(file).contents()).split("\n") for file in there if file in files
    }
    return results.told_first(sources)


async def _together(ran: Sequence[_Ran]) -> dagger.Directory:
    if not ran:
        return dagger.dag.directory().with_new_file(EVENTS, "")
    if len(ran) == 1:
        return ran[0].files
    return await joined(ran[0].container, [one.files for one in ran])


async def _profile(ran: Sequence[_Ran]) -> profiles.Profile | None:
    """Merge the coverage of what ran; None if nothing was measured."""
    found = []
    for one in ran:
        if COVERAGE in await one.files.entries():
            text = await one.files.file(COVERAGE).contents()
            if text:  # Go leaves it empty where no package could be built
                found.append(profiles.read(text, COVERAGE))
    return profiles.merge(found) if found else None


def _timings(plan: Plan, results: Results) -> recorded.Timings:
    """Say how long packages took; one that Go's cache answered for took what it took before."""
    tested = [package for package in results.packages if package.status != "skipped"]
    replayed = {p.path: _together_seconds(p) for p in tested if p.cached}
    before = {**replayed, **plan.timings.seconds}
    seconds = {p.path: p.seconds for p in tested if not p.cached and not p.build}
    known = plan.every or [*before, *seconds]
    return replace(plan.timings, seconds=before).after(known, seconds, plan.splits)


def _together_seconds(package: Package) -> float:
    return sum(test.seconds for test in package.tests if "/" not in test.name)


def _again(results: Results) -> Iterator[tuple[str, str]]:
    """Give the packages and patterns to run again: whole tests, with all their subtests."""
    found: dict[str, dict[str, None]] = {}
    for package, test in results.failed:
        if test is not None:
            found.setdefault(package.path, {})[test.name.partition("/")[0]] = None
    for path, names in found.items():
        yield path, f"^({'|'.join(map(re.escape, names))})$"


def _tell(results: Results, coverage: float | None) -> None:
    """Tell the report of the run what failed and where, and how much Go had in its cache."""
    cached, tested = results.cached
    annotations = [_annotation(package, test) for package, test in results.failed]
    tests: dict[str, object] = {"packages": tested, "cached": cached}
    if coverage is not None:
        tests["coverage"] = round(coverage, 1)
    note(tests=tests, annotations=annotations)


def _annotation(package: Package, test: Test | None) -> dict[str, object]:
    """Say at which line something failed; with no line where none is known."""
    told = test or package
    title = f"{package.path} {test.name}" if test else package.path
    at = told.places[:1]
    where = {"file": at[0].file, "line": at[0].line} if at else {}
    message = told.reason or (at[0].message if at else "") or "\n".join(_end(package, test))
    return {**where, "title": title, "message": message or "failed"}


def _message(results: Results) -> str:
    """Say what failed, with the lines that say why."""
    failed = results.failed
    lines = [f"{len(failed)} failed:"]
    for package, test in failed[:SHOWN]:
        lines.append(f"  {package.path}" + (f" {test.name}" if test else ""))
        lines += [f"    {line}" for line in _why(package, test)]
    if len(failed) > SHOWN:
        lines.append(f"  and {len(failed) - SHOWN} more")
    return "\n".join(lines)


def _why(package: Package, test: Test | None) -> list[str]:
    places = (test or package).places
    if reason := (test or package).reason:
        at = f", at {places[0].file}:{places[0].line}" if places else ""
        return [f"{reason}{at}"]
    if places:
        said = [f"{place.file}:{place.line}: {place.message}" for place in places[:5]]
        return [line for text in said for line in _first(text.split("\n"))]
    return _end(package, test)


def _first(lines: Sequence[str]) -> list[str]:
    """Give the beginning of a message, what follows its first line further in."""
    more = [f"  {line}".rstrip() for line in lines[1:LINES]]
    return [lines[0], *more, *(["  …"] if len(lines) > LINES else [])]


def _end(package: Package, test: Test | None) -> list[str]:
    text = test.output if test else package.build or package.output
    return [line for line in text.splitlines() if line.strip()][-5:]
