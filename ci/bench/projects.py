"""Six targets of real Go projects, from cold to a fresh checkout."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ci.bench.contestants import Contestant
from ci.bench.inputs import Project, checkout, digests, fetch
from ci.bench.measure import BenchError, Sample, Series, alternate
from ci.bench.report import Report

__all__ = ["edit", "measure"]


def measure(
    report: Report,
    project: Project,
    contestants: Sequence[Contestant],
    scratch: Path,
    *,
    quick: bool,
) -> None:
    """Run every scenario; the first contestant is ours, the second the host loop."""
    try:
        _Course(report, project, contestants, scratch, 2 if quick else 5).run()
    except BenchError as exc:
        report.skip(project.name, str(exc))
        raise


class _Course:
    """One project's scenarios, in the order in which they need each other's caches."""

    def __init__(
        self,
        report: Report,
        project: Project,
        contestants: Sequence[Contestant],
        scratch: Path,
        rounds: int,
    ) -> None:
        self.report = report
        self.project = project
        self.contestants = contestants
        self.place = scratch / project.name
        self.rounds = rounds
        self.source = fetch(project, self.place / "source")

    def run(self) -> None:
        self._cold()
        self._turns("no-op", lambda _: None, "≤ 0.6 s")
        self._turns("one-line edit in a leaf", self._edit, "≤ 1.2 × host")
        self._turns("README edit", self._readme, "–")
        self._turns("fresh checkout, same content", self._checkout, "= no-op")
        self._turns("fresh checkout + leaf edit", self._checkout_and_edit)

    def _cold(self) -> None:
        """Build once with nothing cached; n = 1 per contestant, peers with warm daemons aside."""
        cold = [c for c in self.contestants if c.name in {"pipelines", "host"}]
        series = alternate({c.name: partial(self._build, c) for c in cold}, 1)
        self._same_bytes(cold)
        self.report.compare(self.project.name, "cold", series, "≤ 1.05 × host")
        for contestant in self.contestants:
            self._build(contestant)  # warms the others
        self._same_bytes(self.contestants)

    def _turns(self, name: str, before: Callable[[int], None], reach: str = "") -> None:
        builds = {c.name: partial(self._build, c) for c in self.contestants}
        series: dict[str, Series] = alternate(builds, self.rounds, before)
        self._same_bytes(self.contestants)
        self.report.compare(self.project.name, name, series, reach)

    def _build(self, contestant: Contestant) -> Sample:
        return contestant.build(self.project, self.source, self._out(contestant))

    def _out(self, contestant: Contestant) -> Path:
        return self.place / "out" / contestant.name

    def _same_bytes(self, contestants: Sequence[Contestant]) -> None:
        first, *others = contestants
        wanted = digests(self._out(first))
        for other in others:
            if (got := digests(self._out(other))) != wanted:
                bad = ", ".join(t for t in wanted if got[t] != wanted[t])
                raise BenchError(f"{first.name} and {other.name} built different bytes: {bad}")

    def _edit(self, number: int) -> None:
        edit(self.source / self.project.leaves[number % len(self.project.leaves)])

    def _readme(self, _: int) -> None:
        with (self.source / "README.md").open("a") as file:
            file.write(f"\n{uuid.uuid4().hex}\n")

    def _checkout(self, number: int) -> None:
        """Move to a new directory, as a CI runner would; what was built before is not there."""
        old = self.source
        self.source = checkout(old, self.place / f"checkout-{number}-{uuid.uuid4().hex[:8]}")
        shutil.rmtree(old)
        shutil.rmtree(self.place / "out", ignore_errors=True)

    def _checkout_and_edit(self, number: int) -> None:
        self._checkout(number)
        self._edit(number)


def edit(file: Path) -> None:
    """Add one line that changes the package's object code and so every binary that links it."""
    name = f"bench{uuid.uuid4().hex[:12]}"
    with file.open("a") as source:
        source.write(f'\nvar {name} bool; func init() {{ if {name} {{ println("{name}") }} }}\n')
