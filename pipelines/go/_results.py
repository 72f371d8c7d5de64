"""What `go test -json` says, as a value. Pure functions of its lines.

A test that began and never ended (a panic, `os.Exit`, a time-out) failed. What a package could not
be built for is no test's failure: it is the package's `build` output. A test that runs tests
prints what looks like their end, and Go takes it for one: what passed has no part that failed.
Lines that are no JSON (a test that writes to the terminal by itself) are kept as `noise`.

Source: `go doc test2json`; `go help test` on -json; `go help buildjson`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pipelines.go._places import Place, places, told_first

__all__ = ["NAMELESS", "Package", "Results", "Test", "parse"]

Status = Literal["passed", "failed", "skipped", "flaky"]

KEPT = 64 * 1024  # characters of one test's output that are kept: half from its beginning
_ENDS: Mapping[str, Status] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
# What Go says of a package that was asked for; of one that is imported it says where, first.
NAMELESS = (
    r"^((no required module provides|cannot find module providing) package |malformed import path|"
    r"package \S+ is not in std\b)"
)
_LATE = r"(?m)^panic: test timed out after (?P<limit>\S+)"


@dataclass(frozen=True, slots=True)
class Test:
    """One test, subtest, benchmark, fuzz target or example. `reason` says what ended it early."""

    __test__ = False

    name: str
    status: Status
    seconds: float = 0.0
    output: str = ""
    places: tuple[Place, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """The tests of one package. `build` is what the compiler said if it could not be built."""

    path: str
    status: Status
    seconds: float = 0.0
    cached: bool = False
    build: str = ""
    output: str = ""
    tests: tuple[Test, ...] = ()
    places: tuple[Place, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All packages, in the order in which they were named first."""

    packages: tuple[Package, ...] = ()
    noise: str = ""

    @property
    def failed(self) -> tuple[tuple[Package, Test | None], ...]:
        """What failed: tests without failed subtests below, packages that failed without one."""
        return tuple(self._failed())

    @property
    def cached(self) -> tuple[int, int]:
        """How many packages with tests Go answered for from its cache, of how many."""
        tested = [package for package in self.packages if package.status != "skipped"]
        return sum(package.cached for package in tested), len(tested)

    @property
    def unmatched(self) -> tuple[Package, ...]:
        """What was asked for and is no package: real ones have import paths that Go knows."""
        return tuple(
            package
            for package in self.packages
            if package.path.startswith(".") or re.search(NAMELESS, package.build, re.MULTILINE)
        )

    def told_first(self, sources: Mapping[str, Sequence[str]]) -> "Results":
        """Let the first place of a test be none that was only logged (see `_places`)."""
        packages = (
            replace(
                package,
                tests=tuple(
                    replace(test, places=told_first(test.places, sources)) for test in package.tests
                ),
            )
            for package in self.packages
        )
        return replace(self, packages=tuple(packages))

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The files that say which of several places failed a test, or made it skip."""
        tests = (test for package in self.packages for test in package.tests)
        found = (test.places for test in tests if test.status != "passed" and len(test.places) > 1)
        return tuple(dict.fromkeys(place.file for places in found for place in places))

    def _failed(self) -> Iterator[tuple[Package, Test | None]]:
        for package in self.packages:
            failing = [test for test in package.tests if test.status == "failed"]
            for test in failing:
                if not any(other.name.startswith(f"{test.name}/") for other in failing):
                    yield package, test
            if package.status == "failed" and not failing:
                yield package, None

    def merged(self, again: "Results") -> "Results":
        """Take the results of a re-run in: what failed first and passed then is flaky."""
        passed = {
            (package.path, test.name)
            for package in again.packages
            for test in package.tests
            if test.status in {"passed", "flaky"}
        }
        return replace(self, packages=tuple(_forgiven(p, passed) for p in self.packages))


def _forgiven(package: Package, passed: set[tuple[str, str]]) -> Package:
    tests = tuple(
        replace(test, status="flaky")
        if test.status == "failed" and (package.path, test.name) in passed
        else test
        for test in package.tests
    )
    was = any(test.status == "failed" for test in package.tests)
    fine = was and not any(test.status == "failed" for test in tests)
    return replace(package, tests=tests, status="flaky" if fine else package.status)


@dataclass(slots=True)
class _Text:
    """Output with a bound: the beginning and the end."""

    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    size: int = 0
    kept: int = 0
    dropped: int = 0

    def take(self, event: Mapping[str, Any]) -> None:
        """Add the output of an event; of some (`bound.awk`), how much was left out before."""
        if left_out := event.get("LeftOut"):
            self.dropped += int(left_out)
        else:
            self.add(event.get("Output", ""))

    def add(self, text: str) -> None:
        if self.size < KEPT // 2:
            self.head.append(text)
            self.size += len(text)
            return
        self.tail.append(text)
        self.kept += len(text)
        while self.kept > KEPT // 2 and len(self.tail) > 1:
            gone = self.tail.pop(0)
            self.kept -= len(gone)
            self.dropped += len(gone)

    def __str__(self) -> str:
        cut = [f"\n[{self.dropped} characters left out]\n"] if self.dropped else []
        return "".join([*self.head, *cut, *self.tail])


@dataclass(slots=True)
class _Open:
    """A package that is being read."""

    status: Status | None = None
    seconds: float = 0.0
    build: str = ""
    failed_build: str = ""
    output: _Text = field(default_factory=_Text)
    tests: dict[str, tuple[Status | None, float, _Text]] = field(default_factory=dict)


def parse(lines: Iterable[str], module: str = "", root: str = ".") -> Results:
    """Read the lines of `go test -json`.

    Args:
        lines: The events.
        module: The import path of the module that is tested, which `-trimpath` writes into paths.
        root: The module's directory in the source: places are files of the source.
    """
    packages: dict[str, _Open] = {}
    builds: dict[str, _Text] = {}
    noise = _Text()
    for line in lines:
        event = _event(line)
        if event is None:
            noise.add(line if line.endswith("\n") else f"{line}\n")
        elif "ImportPath" in event:
            if event.get("Action") == "build-output":
                builds.setdefault(event["ImportPath"], _Text()).add(event.get("Output", ""))
        elif "Package" in event:
            _take(packages.setdefault(event["Package"], _Open()), event)
    for found in packages.values():
        found.build = str(builds.get(found.failed_build, ""))
    closed = (_closed(path, found, module, root) for path, found in packages.items())
    return Results(tuple(closed), str(noise))


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "Action" in event else None


def _take(package: _Open, event: Mapping[str, Any]) -> None:
    action, name = event["Action"], event.get("Test", "")
    if name:
        _, _, text = package.tests.setdefault(name, (None, 0.0, _Text()))
        if action == "output":
            text.take(event)
        elif action in _ENDS or action == "bench":
            ended = _ENDS.get(action, "passed")
            package.tests[name] = (ended, float(event.get("Elapsed", 0.0)), text)
        return
    if action == "output":
        package.output.take(event)
    elif action in _ENDS:
        package.status = _ENDS[action]
        package.seconds = float(event.get("Elapsed", 0.0))
        package.failed_build = event.get("FailedBuild", "")


def _early(found: _Open) -> str:
    """Say what ended a package before its tests did."""
    texts = [str(found.output), *(str(text) for _, _, text in found.tests.values())]
    late = next((match for text in texts if (match := re.search(_LATE, text))), None)
    return f"timed out after {late['limit']}" if late else ""


def _ended(name: str, found: _Open, package: Status) -> Status:
    """Say how a test ended: a failed one fails those around it and its package, or is none."""
    ended = found.tests[name][0]
    if package == "passed":
        return "passed" if ended in {None, "failed"} else ended
    if ended == "failed" and any(
        found.tests[above][0] == "passed" for above in _above(name, found)
    ):
        return "passed"
    return ended or ("failed" if package == "failed" else "passed")


def _above(name: str, found: _Open) -> Iterator[str]:
    """Give the tests that a subtest is part of."""
    parts = name.split("/")
    names = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return (above for above in names if above in found.tests)


def _closed(path: str, found: _Open, module: str, root: str) -> Package:
    status: Status = found.status or "failed"
    early = _early(found) if status == "failed" else ""
    directory = path.removeprefix(module).strip("/") if path.startswith(module) else path
    tests = tuple(
        Test(
            name,
            _ended(name, found, status),
            seconds,
            str(text),
            tuple(places(str(text), directory, module, root)),
            "" if ended else early,
        )
        for name, (ended, seconds, text) in found.tests.items()
    )
    output = str(found.output)
    return Package(
        path,
        status,
        found.seconds,
        "\t(cached)" in output,
        found.build,
        output,
        tests,
        tuple(places(found.build, "", module, root)),
        early,
    )
