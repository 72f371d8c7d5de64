"""Real Go projects, from cold to a fresh checkout: what is built, and what is tested.

Every row is one kind of change, made once for all contestants; then they take turns. A row begins
with what the row before left, so the order counts: what is stamped comes last of the builds.
"""

import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ci.bench.contestants import Contestant
from ci.bench.inputs import Project, checkout, digests, fetch
from ci.bench.measure import BenchError, Sample, Series, alternate
from ci.bench.report import Report, Row

__all__ = ["Course", "edit"]

OURS = ("pipelines", "host")


class Tester(Protocol):
    """A contestant that tests, too."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def test(self, project: Project, source: Path) -> tuple[Sample, str]:
        """Test once; give what was printed."""


@dataclass(slots=True)
class Course:
    """One project's rows; the first contestant is ours, the second the host loop."""

    report: Report
    project: Project
    contestants: Sequence[Contestant]
    testers: Sequence[Tester]
    place: Path
    rounds: int
    reach: str = "≤ 1.15 × host"
    source: Path = Path()
    inplace: Path = Path()

    def run(self) -> None:
        """Measure every row.

        Raises:
            BenchError: a contestant failed, or built other bytes than the others.
        """
        self.source = fetch(self.project, self.place / "source")
        self._cold()
        self._builds("no-op", lambda _: None, "≤ 0.6 s")
        self._builds("README edit", self._readme, "≤ 0.6 s")
        self._builds("_test.go edit", lambda _: edit(self.source / self.project.test), "≤ 0.6 s")
        self._builds("one-line edit in a leaf", self._leaf, self.reach)
        self._builds("fresh checkout, same content", self._checkout, "= no-op")
        self._builds("fresh checkout + leaf edit", self._checkout_and_leaf, self.reach)
        if self.project.stamp:
            self._builds("new commit id, stamped", lambda _: None, self.reach, stamped=True)
        if self.project.tests:
            self._tests()

    def _cold(self) -> None:
        """Build once with nothing cached; n = 1 per contestant, peers with warm daemons aside."""
        cold = [c for c in self.contestants if c.name in OURS]
        series = alternate({c.name: partial(self._build, c, "") for c in cold}, 1)
        self._same_bytes(cold)
        self.report.compare(self.project.name, "cold", series, "≤ 1.05 × host")
        for contestant in self.contestants:
            self._build(contestant, "")  # warms the others
        self._same_bytes(self.contestants)

    def _builds(
        self, name: str, before: Callable[[int], None], reach: str, *, stamped: bool = False
    ) -> None:
        commit = ""

        def prepare(number: int) -> None:
            nonlocal commit
            before(number)
            commit = f"{self.project.stamp}={uuid.uuid4().hex}" if stamped else ""

        def build(contestant: Contestant) -> Sample:
            return self._build(contestant, commit)

        builds = {c.name: partial(build, c) for c in self.contestants}
        series: dict[str, Series] = alternate(builds, self.rounds, prepare)
        self._same_bytes(self.contestants)
        self.report.compare(self.project.name, name, series, reach)

    def _build(self, contestant: Contestant, stamp: str) -> Sample:
        return contestant.build(self.project, self.source, self._out(contestant), stamp)

    def _out(self, contestant: Contestant) -> Path:
        return self.place / "out" / contestant.name

    def _same_bytes(self, contestants: Sequence[Contestant]) -> None:
        first, *others = contestants
        targets = self.project.targets
        wanted = digests(self._out(first), targets)
        for other in others:
            if (got := digests(self._out(other), targets)) != wanted:
                bad = ", ".join(t for t in wanted if got[t] != wanted[t])
                raise BenchError(f"{first.name} and {other.name} built different bytes: {bad}")

    def _tests(self) -> None:
        """Test in place, and in a fresh checkout: there the host keeps to its old directory."""
        self.inplace = self.source
        if not self._warmed():
            return
        self._tested("go test, nothing changed", lambda _: None, "–")
        self._tested("go test, README edit", self._readme, "–")
        self._tested("go test, _test.go edit", lambda _: edit(self.source / self.project.test))
        self._tested("go test, one-line edit in a leaf", self._leaf)
        self._tested("go test, fresh checkout (host: in place)", self._moved, "≤ 1.2 × host")
        self._tested("go test, fresh + leaf edit (host: in place)", self._moved_leaf,
                     "≤ 1.2 × host")  # fmt: skip

    def _warmed(self) -> bool:
        """Test once each; a peer that fails is left out, and without ours and the host all is."""
        passing: list[Tester] = []
        for tester in self.testers:
            try:
                tester.test(self.project, self.source)
            except BenchError as why:
                self.report.skip(f"{self.project.name}: go test of {tester.name}", _last(why))
            else:
                passing.append(tester)
        self.testers = passing
        return {tester.name for tester in passing} >= set(OURS)

    def _tested(
        self, name: str, before: Callable[[int], None], reach: str = "≤ 1.15 × host"
    ) -> None:
        cached: dict[str, int] = {}
        passed: dict[str, int] = {}

        def test(tester: Tester) -> Sample:
            where = self.inplace if tester.name == "host" else self.source
            sample, printed = tester.test(self.project, where)
            passed[tester.name] = len(re.findall(r"^ok\s", printed, re.MULTILINE))
            cached[tester.name] = printed.count("(cached)")
            return sample

        series = alternate({t.name: partial(test, t) for t in self.testers}, self.rounds, before)
        if passed["pipelines"] != passed["host"]:
            raise BenchError(f"{name}: not the same packages passed: {passed}")
        self.report.compare(self.project.name, name, series, reach)
        ours, host = cached["pipelines"], cached["host"]
        self.report.add(
            Row(
                self.project.name,
                f"… packages answered from Go's cache, of {passed['host']}",
                ours,
                "packages",
                1,
                "host",
                host,
            )
        )

    def _leaf(self, number: int) -> None:
        leaf = self.project.leaves[number % len(self.project.leaves)]
        edit(self.source / leaf)
        if self.inplace not in {Path(), self.source}:
            (self.inplace / leaf).write_text((self.source / leaf).read_text())

    def _readme(self, _: int) -> None:
        with (self.source / "README.md").open("a") as file:
            file.write(f"\n{uuid.uuid4().hex}\n")

    def _checkout(self, number: int) -> None:
        """Move to a new directory, as a CI runner would; what was built before is not there."""
        old = self.source
        self.source = checkout(old, self.place / f"checkout-{number}-{uuid.uuid4().hex[:8]}")
        shutil.rmtree(old)
        shutil.rmtree(self.place / "out", ignore_errors=True)

    def _checkout_and_leaf(self, number: int) -> None:
        self._checkout(number)
        self._leaf(number)

    def _moved(self, number: int) -> None:
        """Give a checkout of its own to all but the host."""
        old = self.source
        self.source = checkout(old, self.place / f"moved-{number}-{uuid.uuid4().hex[:8]}")
        if old != self.inplace:
            shutil.rmtree(old)

    def _moved_leaf(self, number: int) -> None:
        self._moved(number)
        self._leaf(number)


def _last(why: BenchError) -> str:
    failed = [line for line in str(why).splitlines() if "FAIL" in line]
    return (failed or str(why).splitlines())[0][:200]


def edit(file: Path) -> None:
    """Add one line that changes the package's object code and so every binary that links it."""
    name = f"bench{uuid.uuid4().hex[:12]}"
    with file.open("a") as source:
        source.write(f'\nvar {name} bool; func init() {{ if {name} {{ println("{name}") }} }}\n')
