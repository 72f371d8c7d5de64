"""What a test run is made of: which packages, in which parts, each with its limit of time.

Theory of operation
    Without any choice a run is one cell with the patterns as they were given, and Go finds the
    packages. Choices of packages (`affected`), parts (`shard`, `shards`) and limits by pattern need
    the packages by name: `go list` says them, exactly, before anything is dealt out. So every part
    of a run knows all packages, and what it leaves out is another part's. Each cell sees what its
    own packages can read and nothing else: an edit re-runs the cells that read it.

    Packages without tests take no time; they are dealt out by their names alone, so that they are
    where they were whatever else changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines._given import patterns
from pipelines._shard import split
from pipelines._spans import note
from pipelines.go._affected import reasons
from pipelines.go._env import WORKDIR
from pipelines.go._ready import ready
from pipelines.go._testing import Choices, limit_of
from pipelines.report.timings import Timings, read

__all__ = ["Cell", "Listed", "Plan", "affected", "dealt", "listed", "planned", "tell"]

_LIST = "/packages"
_FORMAT = "{{.ImportPath}}\t{{.Dir}}\t{{len .TestGoFiles}}\t{{len .XTestGoFiles}}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A package: its import path, its directory in the source, whether it has tests."""

    path: str
    directory: str
    tested: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """Packages that one `go test` runs, and how many seconds each may take."""

    packages: tuple[str, ...]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `every` are all packages of all shards, `why` says what made a package one of them."""

    cells: tuple[Cell, ...]
    every: tuple[str, ...] = ()
    splits: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    why: Mapping[str, str] = field(default_factory=dict)
    by_change: bool = False

    @property
    def mine(self) -> tuple[str, ...]:
        """The packages of this shard."""
        return tuple(path for cell in self.cells for path in cell.packages)


async def planned(source: dagger.Directory, packages: Sequence[str], chosen: Choices) -> Plan:
    """Plan a run.

    Raises:
        UsageError: no package matches.
    """
    packages = patterns(packages)
    timings = await _timings(chosen.timings)
    if not chosen.by_name:
        return Plan((Cell(packages),), timings=timings)
    found = await listed(source, packages, chosen)
    why: Mapping[str, str] = {}
    if chosen.affected:
        why = await reasons(source, chosen.affected, [p.directory for p in found], chosen)
        found = tuple(package for package in found if package.directory in why)
        why = {package.path: why[package.directory] for package in found}
    return dealt(found, chosen, timings, why)


def tell(plan: Plan) -> None:
    """Tell the report of the run what was chosen, so that `pipelines merge` can see all of it."""
    if plan.every or plan.by_change:
        note(tests_of={"every": list(plan.every), "mine": list(plan.mine)}, affected=dict(plan.why))


def dealt(
    found: Sequence[Listed], chosen: Choices, timings: Timings, why: Mapping[str, str]
) -> Plan:
    """Deal packages out to shards and cells. A pure function."""
    splits: dict[int, Mapping[str, int]] = {}

    def part(among: Sequence[Listed], parts: int, before: Mapping[str, int]) -> dict[str, int]:
        tested = [package.path for package in among if package.tested]
        result = split(tested, parts, timings.seconds, before)
        return result | {p.path: _by_name(p.path, parts) for p in among if not p.tested}

    mine = found
    if chosen.shard.of > 1:
        over = part(found, chosen.shard.of, timings.shards.get(chosen.shard.of, {}))
        splits[chosen.shard.of] = over
        mine = [package for package in found if over[package.path] == chosen.shard.index - 1]
    beside = part(mine, chosen.shards, timings.shards.get(chosen.shards, {}))
    if chosen.shard.of == 1 and chosen.shards > 1:
        splits[chosen.shards] = beside
    cells = _cells(mine, beside, chosen)
    every = tuple(package.path for package in found)
    return Plan(cells, every, splits, timings, why, bool(chosen.affected))


def _cells(mine: Sequence[Listed], beside: Mapping[str, int], chosen: Choices) -> tuple[Cell, ...]:
    groups: dict[tuple[int, float], list[str]] = {}
    for package in mine:
        seconds = limit_of(package.directory, chosen.limits, chosen.module)
        groups.setdefault((beside[package.path], seconds or 0.0), []).append(package.path)
    return tuple(
        Cell(tuple(sorted(paths)), seconds or None)
        for (_, seconds), paths in sorted(groups.items())
    )


def _by_name(path: str, parts: int) -> int:
    return int.from_bytes(sha256(path.encode()).digest()[:8], "big") % parts


async def listed(
    source: dagger.Directory, packages: Sequence[str], chosen: Choices
) -> tuple[Listed, ...]:
    """Ask Go which packages patterns mean. Those that can not be loaded are among them.

    Raises:
        UsageError: none does.
    """
    container = await ready(source, packages, chosen)
    command = ["go", "list", *chosen.loading, "-e", "-f", _FORMAT, *packages]
    ran = container.with_exec(command, redirect_stdout=_LIST)
    found = tuple(_listed((await ran.file(_LIST).contents()).splitlines()))
    wrong = [package.path for package in found if package.path.startswith(".")]
    if wrong or not found:
        raise UsageError(f"no package matches {' '.join(wrong or packages)}")
    return found


def _listed(lines: Iterable[str]) -> Iterable[Listed]:
    for line in lines:
        path, at, own, outside = line.split("\t")
        inside = at.removeprefix(WORKDIR).strip("/") if at.startswith(WORKDIR) else path
        yield Listed(path, inside or ".", tested=(own, outside) != ("0", "0"))


async def affected(
    source: dagger.Directory,
    base: dagger.Directory | dagger.GitRef | str,
    *packages: str,
    **options: object,
) -> dict[str, str]:
    """Say which packages' tests may read something that is not as it is in `base`.

    Gives import paths with the reason of each; in doubt more. `go.test(source, affected=base)`
    tests them.

    Args:
        source: The repository.
        base: What to compare with: the source as it was, a git ref (`git(url).branch("main")`), or
            the name of one in the source's own `.git`: then from where the checkout left it.
        packages: Packages or patterns to choose from; by default `./...`.
        options: The arguments of `test`.

    Raises:
        UsageError: the name is empty or no ref's, or there is no `.git` with the history of both.
    """
    if not base:
        raise UsageError("affected wants a base to compare with, such as main; got an empty name")
    chosen = Choices.of({**options, "affected": base})  # type: ignore[typeddict-item]
    return dict((await planned(source, packages or ("./...",), chosen)).why)


async def _timings(file: dagger.File | None) -> Timings:
    if file is None:
        return Timings()
    try:
        return read(await file.contents())
    except dagger.QueryError:
        return Timings()  # there is none yet
