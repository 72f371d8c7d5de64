"""Tests with reports: JUnit, the events as JSON, coverage, also when tests fail.

Theory of operation
    `go test -json` writes into a file of the container, so that its lines are nobody's progress. If
    it ends well, the file is an output of the command, cached with it. If not, the command has
    failed, and a failed command is never cached and leaves nothing: so before it ends it puts its
    files into a cache volume, under a name that only this run knows (a volatile variable: it keys
    nothing), and a second command takes them out. Both engines can do that.

    A re-run of failed tests is keyed by the run as well: what passed once by chance may not answer
    for the next failure.
"""

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Unpack

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines._errors import StageFailed
from pipelines._memo import mark_forced
from pipelines._spans import note
from pipelines.go._junit import junit
from pipelines.go._results import Package, Results, Test, parse
from pipelines.go._survey import module_of
from pipelines.go._target import OUT
from pipelines.go._test import ready
from pipelines.go._testing import Choices, Testing

__all__ = ["TestsFailed", "report"]

EVENTS, COVERAGE = "tests.json", "coverage.out"
FAILED = Cache("go-failed-tests", "/go/failed-tests")
RUN, AGAIN = "PIPELINES_TEST_RUN", "PIPELINES_TEST_AGAIN"
PAGE = 50_000  # lines of events that are read at a time
MANY = 48 * 1024 * 1024  # bytes of events, above which their output is left out
SHOWN = 20

# Programs of three lines, for the image's shell. `$@` is the command.
SCRIPTS = "/pipelines/tests"
_SCRIPTS = {
    "run": f"""\
"$@" > {OUT}/{EVENTS}
code=$?
if [ "$code" != 0 ]; then
  mkdir -p "{FAILED.path}/${RUN}" && cp {OUT}/* "{FAILED.path}/${RUN}/"
fi
exit "$code"
""",
    "take": f"""\
cp "{FAILED.path}/${RUN}/"* {OUT}/ && rm -r "{FAILED.path}/${RUN}"
""",
    "thin": f"""\
grep -v '"Action":"output"' {OUT}/{EVENTS} > {OUT}/thin && mv {OUT}/thin {OUT}/{EVENTS}
""",
}


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

    In it: `junit.xml`, `tests.json` (Go's events, a line each), and `coverage.out` where a package
    with tests could be built. `pipelines run --export DIR` writes it also when tests fail.

    Args:
        source: The repository. Its `.git` is left out.
        packages: Packages or patterns; by default `./...`.
        coverage: Whether to measure coverage.
        rerun: How often to run failed tests again; what passes then is flaky and fails nothing.
        options: The arguments of `test`.

    Raises:
        TestsFailed: tests failed, or packages could not be built; the message names them.
        dagger.ExecError: Go did not come to run tests.
    """
    chosen = Choices.of(options)
    every = packages or ("./...",)
    container = _equipped(await ready(source, every, chosen))
    module = await module_of(source, chosen.module)
    more = [f"-coverprofile={OUT}/{COVERAGE}"] if coverage else []
    files, failure = await _run(container, chosen.command(every, "-json", *more))
    results = await _read(container, files, module)
    if failure is not None and not results.packages:
        raise failure
    for _ in range(rerun if failure is not None else 0):
        for path, pattern in _again(results):
            command = chosen.command([path], "-json", "-count=1", run=pattern)
            results = results.merged(await _once_more(container, command, module))
    return _finished(files, results, failed=failure is not None)


def _finished(files: dagger.Directory, results: Results, *, failed: bool) -> dagger.Directory:
    files = files.with_new_file("junit.xml", junit(results))
    _tell(results)
    if failed and results.failed:
        raise TestsFailed(_message(results), results, files)
    return mark_forced(files)


def _equipped(container: dagger.Container) -> dagger.Container:
    """Add the place for reports, and the scripts."""
    scripts = dagger.dag.directory()
    for name, text in _SCRIPTS.items():
        scripts = scripts.with_new_file(name, text)
    container = container.with_(mount(FAILED)).with_directory(OUT, dagger.dag.directory())
    return container.with_directory(SCRIPTS, scripts)


async def _run(
    container: dagger.Container, command: list[str]
) -> tuple[dagger.Directory, dagger.ExecError | None]:
    """Run tests; give the files that they left, and the error if they failed."""
    name = uuid.uuid4().hex
    running = container.with_volatile_variable(RUN, name)
    done = running.with_exec(["sh", f"{SCRIPTS}/run", *command])
    try:
        return await done.directory(OUT).sync(), None
    except dagger.ExecError as error:
        taking = container.with_env_variable(RUN, name).with_exec(["sh", f"{SCRIPTS}/take"])
        try:
            return await taking.directory(OUT).sync(), error
        except dagger.ExecError:
            raise error from None  # nothing was kept: the command did not come that far


async def _once_more(container: dagger.Container, command: list[str], module: str) -> Results:
    """Run tests again, whatever is cached."""
    anew = container.with_env_variable(AGAIN, uuid.uuid4().hex)
    files, _ = await _run(anew, command)
    return await _read(anew, files, module)


async def _read(container: dagger.Container, files: dagger.Directory, module: str) -> Results:
    """Read the events. Of very many, what tests printed is left out, not how they ended."""
    if await files.file(EVENTS).size() > MANY:
        thin = container.with_directory(OUT, files).with_exec(["sh", f"{SCRIPTS}/thin"])
        files = await thin.directory(OUT).sync()
    return parse([line async for line in _lines(files.file(EVENTS))], module)


async def _lines(file: dagger.File) -> AsyncIterator[str]:
    at = 0
    while True:
        text = await file.contents(offset_lines=at, limit_lines=PAGE)
        lines = text.splitlines()
        for line in lines:
            yield line
        at += len(lines)
        if len(lines) < PAGE:
            return


def _again(results: Results) -> Iterator[tuple[str, str]]:
    """Give the packages and patterns to run again: whole tests, with all their subtests."""
    found: dict[str, dict[str, None]] = {}
    for package, test in results.failed:
        if test is not None:
            found.setdefault(package.path, {})[test.name.partition("/")[0]] = None
    for path, names in found.items():
        yield path, f"^({'|'.join(map(re.escape, names))})$"


def _tell(results: Results) -> None:
    """Tell the report of the run what failed and where, and how much Go had in its cache."""
    cached, tested = results.cached
    annotations = []
    for package, test in results.failed:
        for place in (test or package).places[:1]:
            title = f"{package.path} {test.name}" if test else package.path
            where = {"file": place.file, "line": place.line}
            annotations.append({**where, "title": title, "message": place.message})
    note(tests={"packages": tested, "cached": cached}, annotations=annotations)


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
    if places:
        return [f"{place.file}:{place.line}: {place.message}" for place in places[:5]]
    text = test.output if test else package.build or package.output
    return [line for line in text.splitlines() if line.strip()][-5:]
