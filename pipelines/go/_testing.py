"""The choices that tests can be run with, and how `go test` spells them. Pure functions."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines._given import number, text, texts
from pipelines._shard import Shard
from pipelines.go._commands import Setup
from pipelines.go._target import shared_flags

__all__ = ["Choices", "Testing", "limit_of"]


class Testing(Setup, total=False):
    """The keyword arguments that `test` and `report` share; those of `env` are among them.

    run, skip: Only tests, or no tests, whose names match this regular expression.
    count: How often each test runs; any number but 0 makes Go ignore its cache of results.
    short: Whether tests that ask for it (`testing.Short`) make it short.
    timeout: Seconds that the tests of one package may take; Go's own limit is 600. Or a mapping
        from patterns of packages to seconds, of which the longest that matches counts. A package
        that takes longer fails and is reported as timed out; the others go on.
    tags: Build tags.
    trimpath: Leave paths out of the test programs, as `build` does, and share what it compiles. By
        default that is so unless the source asks where it is (`runtime.Caller`, `runtime.GOROOT`):
        such tests need the paths.
    flags: More flags of `go test`, such as `-parallel=4`.
    inputs: Patterns of files that the tests read and that are not found (`go.inputs`); `**` for
        the whole source.
    affected: Only packages whose tests can read something that is not as it is here: the source
        as it was, a git ref, or the name of a branch, tag or commit: then what changed since the
        checkout left it (`git merge-base`); "" for all packages. Their reasons are told.
    shard: The part of the packages that this run tests (`pipelines run --shard`).
    shards: How many `go test` share the packages, beside each other.
    timings: The `timings.json` of an earlier report, by which packages are dealt out evenly; a
        file that is not there is none.
    """

    run: str
    skip: str
    count: int
    short: bool
    timeout: float | Mapping[str, float] | None
    tags: Sequence[str]
    trimpath: bool | None
    flags: Sequence[str]
    inputs: Sequence[str]
    affected: dagger.Directory | dagger.GitRef | str | None
    shard: Shard
    shards: int
    timings: dagger.File | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen; `setup` is what is `env`'s."""

    run: str = ""
    skip: str = ""
    count: int = 0
    short: bool = False
    timeout: float | Mapping[str, float] | None = None
    tags: tuple[str, ...] = ()
    trimpath: bool | None = None
    flags: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    affected: dagger.Directory | dagger.GitRef | str | None = None
    shard: Shard = field(default_factory=Shard)
    shards: int = 1
    timings: dagger.File | None = None
    setup: Setup = field(default_factory=Setup)

    @classmethod
    def of(cls, options: Testing) -> "Choices":
        """Read the keyword arguments of `test`.

        Raises:
            UsageError: a number can not be.
        """
        own = {one.name: one for one in fields(cls) if one.name != "setup"}
        given: dict[str, Any] = dict(options)
        mine = {name: given.pop(name) for name in own if name in given}
        for name in ("tags", "flags", "inputs"):
            mine[name] = texts(name, mine.get(name, ()))
        chosen = cls(**mine, setup=given)  # type: ignore[arg-type]
        text("run", chosen.run, "TestSum")
        text("skip", chosen.skip, "TestSlow")
        if not isinstance(chosen.shard, Shard):
            raise UsageError(f"shard is a Shard, such as Shard(1, 3); got {chosen.shard!r}")
        if number("count", chosen.count, "how often each test runs") < 0:
            raise UsageError(f"count is how often each test runs; got {chosen.count}")
        if number("shards", chosen.shards, "how many run beside each other") < 1:
            raise UsageError(f"shards is how many run beside each other; got {chosen.shards}")
        for seconds in chosen.limits.values():
            if not number("timeout", seconds, "seconds") > 0:
                raise UsageError(f"timeout is seconds, more than 0; got {seconds!r}")
        return chosen

    @property
    def limits(self) -> Mapping[str, float]:
        """Seconds by pattern; the pattern "..." is every package."""
        if self.timeout is None:
            return {}
        return self.timeout if isinstance(self.timeout, Mapping) else {"...": self.timeout}

    @property
    def by_name(self) -> bool:
        """Whether packages have to be known by name before they are tested."""
        several = self.shards > 1 or self.shard.of > 1 or set(self.limits) - {"..."}
        return bool(several) or bool(self.affected)

    @property
    def loading(self) -> list[str]:
        """The flags that decide which packages there are and what is in them."""
        race = self.setup.get("race", False)
        return shared_flags(self.tags, trimpath=bool(self.trimpath), race=race)

    @property
    def module(self) -> str:
        """The directory of the module that the tests are in."""
        return self.setup.get("module", ".")

    def command(
        self, packages: Sequence[str], *more: str, run: str = "", seconds: float | None = None
    ) -> list[str]:
        """Spell `go test`; `run` and `seconds` stand in for what was chosen for all packages."""
        seconds = self.limits.get("...") if seconds is None else seconds
        run = run or self.run
        return [
            "go",
            "test",
            *self.loading,
            *([f"-run={run}"] if run else []),
            *([f"-skip={self.skip}"] if self.skip else []),
            *([f"-count={self.count}"] if self.count else []),
            *(["-short"] if self.short else []),
            *([f"-timeout={round(seconds * 1000)}ms"] if seconds else []),
            *more,
            *self.flags,
            *packages,
        ]


def limit_of(directory: str, limits: Mapping[str, float], module: str = ".") -> float | None:
    """Find the seconds of a package, given its directory in the source; None without a rule.

    limit_of("slow/db", {"...": 60, "./slow/...": 600}) == 600
    """
    matching = [pattern for pattern in limits if _matches(directory, pattern, module)]
    return limits[max(matching, key=_narrow)] if matching else None


def _narrow(pattern: str) -> tuple[int, bool]:
    return len(pattern.removesuffix("...").rstrip("/")), not pattern.endswith("...")


def _matches(directory: str, pattern: str, module: str) -> bool:
    above = pattern.removesuffix("...").rstrip("/") or "."
    at = posixpath.normpath(posixpath.join(module, above))
    if not pattern.endswith("..."):
        return directory == at
    return at in {".", directory} or directory.startswith(f"{at}/")
