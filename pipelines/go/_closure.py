"""The files that a build, or the tests of packages, can read. A pure function of a survey.

Theory of operation
    Packages that are asked for are the roots. From them the imports are followed through the
    modules of the source; each package brings the files that its target can compile (names and
    `//go:build` lines decide, and whatever can not be decided is in), its C and assembly files
    and what it embeds. A test file counts for a build only if Go, which reads the top of each, may
    refuse the package for it. The manifests of every module and all of `vendor/` are always in.

    Tests bring the test files of the roots, what these import, the files of the roots for other
    targets, which `go vet` looks at, and everything below the roots' directories that is not Go,
    since tests open files beside them. Documents are left out, unless
    a file of the closure names one or lists directories: then all that is below is in. Paths that
    begin with `..` are followed to where they lead.

    Rule: in doubt more. Whatever is not understood makes the whole source the input, and says why.

Source: `go help packages`, `go help buildconstraint`, package `embed`; `go/build` for which files
belong to a package.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.go._constraints import Tags, evaluate, named_for
from pipelines.go._survey import GoFile, Survey

__all__ = ["Inputs", "closure", "everything"]

_BESIDE = (
    ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90",
    ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso", ".inc", ".pgo",
)  # fmt: skip
_MANIFESTS = {"go.mod", "go.sum", "go.work", "go.work.sum"}
_DOCUMENT = re.compile(
    r"(?i:.*\.(md|markdown|rst|adoc)|(licen[sc]e|changelog|notice|authors|codeowners)[^/]*)"
)
_NOTHING = GoFile()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Paths below the source; `whole` says why every path is one, "" if not.

    `beyond` says what tests may read outside of their own module, "" for nothing: Go's own test
    cache looks at no file there, so it can not be trusted (`go help test`). `ignored` are the files
    for other targets, of those tested packages in which `go vet` may refuse a line of one of them.
    """

    paths: tuple[str, ...] = ()
    whole: str = ""
    beyond: str = ""
    ignored: tuple[str, ...] = ()


class _Whole(Exception):
    """Everything may be read."""


def closure(
    survey: Survey,
    tags: Tags,
    packages: Sequence[str],
    *,
    module: str = ".",
    tests: bool = False,
) -> Inputs:
    """Give what the packages of a target can read, sorted.

    Args:
        survey: The source.
        tags: The target.
        packages: Patterns as Go takes them, relative to `module`.
        module: The directory that Go is started in.
        tests: Whether they are tested, not built.
    """
    try:
        found = _Closure(survey, tags, module, tests=tests)
        roots = dict.fromkeys(_roots(survey, packages, module))
        found.tested(roots)
        for root in roots:
            found.package(root, root=True)
        found.follow()
        if tests:
            found.beside()
    except _Whole as all_of_it:
        return everything(str(all_of_it), survey, module, tests=tests)
    ignored = tuple(_unseen(survey, roots, tags)) if tests else ()
    return Inputs(tuple(sorted(found.paths | _always(survey))), "", found.beyond, ignored)


def everything(why: str, survey: Survey | None, module: str, *, tests: bool) -> Inputs:
    """Give the whole source, with the reason."""
    alone = survey is not None and "go.work" not in survey.names and module == "."
    packages = survey.directories if tests and survey is not None else ()
    ignored = tuple(_unseen(survey, packages, None)) if survey is not None else ()
    return Inputs((), why, why if tests and not alone else "", ignored)


def _unseen(survey: Survey, packages: Iterable[str], tags: Tags | None) -> Iterator[str]:
    """Find the files that Go vets and whose content is in no key; without tags, some others too."""
    for directory in packages:
        found = []
        for base in survey.directories.get(directory, ()):
            path = posixpath.normpath(posixpath.join(directory, base))
            file = survey.files.get(path, _NOTHING)
            named = base.endswith((".go", *_BESIDE)) and base[0] not in "._"
            if named and not (tags and _compiled(base, file, tags)):
                found.append((path, file.doubtful))
        if any(doubtful for _, doubtful in found):
            yield from sorted(path for path, _ in found)


def _compiled(base: str, file: GoFile, tags: Tags) -> bool:
    """Tell whether a file is certain to be compiled, so that what it says is in Go's keys."""
    rule = file.constraint
    held = rule is None or (rule != "?" and evaluate(rule, tags) is True)
    return held and named_for(base, tags) is True and (tags.cgo or not file.cgo)


def _ruled_out(base: str, file: GoFile, tags: Tags) -> bool:
    """Tell whether a file is certain not to be compiled."""
    rule = file.constraint
    held = rule is None or rule == "?" or evaluate(rule, tags) is not False
    return not held or named_for(base, tags) is False


def _refused(survey: Survey, directory: str, tags: Tags) -> Iterator[str]:
    """Find the tests for which Go may refuse to build a package: it reads the top of each."""
    tests: dict[str, str] = {}
    sure: set[str] = set()
    others: set[str] = set()
    for base in survey.directories.get(directory, ()):
        path = posixpath.normpath(posixpath.join(directory, base))
        file = survey.files.get(path, _NOTHING)
        if not base.endswith(".go") or base[0] in "._" or _ruled_out(base, file, tags):
            continue
        if base.endswith("_test.go"):
            tests[path] = file.package.removesuffix("_test")
        else:
            (others if file.constraint == "?" else sure).add(file.package)
    names = sure or others or set(tests.values())
    yield from (path for path, name in tests.items() if not name or name not in names)


def _always(survey: Survey) -> set[str]:
    return {
        name
        for name in survey.names
        if name.rpartition("/")[2] in _MANIFESTS or _in(name, "vendor")
    }


def _in(name: str, directory: str) -> bool:
    return name.startswith(f"{directory}/") or f"/{directory}/" in name


def _roots(survey: Survey, packages: Sequence[str], module: str) -> Iterator[str]:
    """Find the directories that patterns name."""
    for pattern in packages:
        at = _directory(survey, pattern, module)
        if not pattern.endswith("..."):
            if not _has(survey, at, ".go"):
                raise _Whole(f"{pattern!r} is not a directory with Go files")
            yield at
            continue
        above = at.removesuffix("...").rstrip("/") or "."
        if "..." in above:
            raise _Whole(f"the pattern {pattern!r} is not followed")
        for directory in survey.directories:
            here = _below(directory, above) and not _ignored(directory, above)
            if here and _has(survey, directory, ".go"):
                yield directory


def _has(survey: Survey, directory: str, ending: str) -> bool:
    return any(base.endswith(ending) for base in survey.directories.get(directory, ()))


def _tested(survey: Survey, directory: str) -> bool:
    return _has(survey, directory, "_test.go")


def _directory(survey: Survey, pattern: str, module: str) -> str:
    """Turn a pattern into a directory of the source, `...` kept."""
    if pattern in {".", "./..."} or pattern.startswith("./"):
        return posixpath.normpath(posixpath.join(module, pattern))
    named = _local(survey, pattern.removesuffix("/..."))
    found = {at for at in named if any(_below(there, at) for there in survey.directories)}
    if len(found) != 1:
        raise _Whole(f"{pattern!r} is not one package of this source")
    return found.pop() + ("/..." if pattern.endswith("/...") else "")


def _below(directory: str, above: str) -> bool:
    return above in {".", directory} or directory.startswith(f"{above}/")


def _ignored(directory: str, above: str) -> bool:
    """Tell whether `...` passes a directory over."""
    rest = directory if above == "." else directory[len(above) :]
    return any(
        part in {"testdata", "vendor"} or (part[:1] in {"_", "."} and part != ".")
        for part in rest.split("/")
    )


def _local(survey: Survey, path: str) -> Iterator[str]:
    """Find the directories that an import path can be, in any module that it may be of."""
    for module, places in survey.modules.items():
        if path == module or path.startswith(f"{module}/"):
            for place in places:
                yield posixpath.normpath(posixpath.join(place, path[len(module) + 1 :]))


class _Closure:
    """Follows imports; `paths` are the inputs so far."""

    def __init__(self, survey: Survey, tags: Tags, module: str, *, tests: bool) -> None:
        known = {place for places in survey.modules.values() for place in places}
        for name in survey.names:
            above, _, base = name.rpartition("/")
            if base == "go.mod" and (above or ".") not in known and not _ignored(above, "."):
                raise _Whole(f"{name} names no module that was understood")
        if not known:
            raise _Whole("no module of the source is known")
        self.paths: set[str] = set()
        self.beyond = ""
        self._survey = survey
        self._module = module
        self._tags = tags
        self._tests = tests
        self._seen: set[str] = set()
        self._waiting: list[str] = []
        self._lists = False
        self._loads = False
        self._tested: set[str] = set()
        self._names = frozenset(survey.names)

    def tested(self, roots: Iterable[str]) -> None:
        """Say where tests run."""
        self._tested.update(root for root in roots if self._tests and _tested(self._survey, root))

    def package(self, directory: str, *, root: bool = False) -> None:
        """Take a package in."""
        if directory in self._seen:
            return
        self._seen.add(directory)
        tested = root and self._tests
        if not tested:
            self.paths.update(_refused(self._survey, directory, self._tags))
        for base in self._survey.directories.get(directory, ()):
            if base.endswith(".go"):
                if tested or not base.endswith("_test.go"):
                    self._go_file(directory, base, tested=tested)
            elif base.endswith(_BESIDE):
                if named_for(base, self._tags) is not False:
                    self._beside(directory, base)
                elif tested:
                    self.paths.add(posixpath.normpath(posixpath.join(directory, base)))

    def follow(self) -> None:
        """Take in what is imported, until nothing is new."""
        while self._waiting:
            for found in _local(self._survey, self._waiting.pop()):
                self.package(found)

    def beside(self) -> None:
        """Take in what tests may open."""
        above = {".", *self._tested} if self._loads else self._tested
        for name in self._survey.names:
            if not ("." in above or any(parent in above for parent in _parents(name))):
                continue
            directory, _, base = name.rpartition("/")
            if (
                self._lists
                or (self._loads and not _DOCUMENT.fullmatch(base))
                or _ignored(directory, ".")
                or (not base.endswith(".go") and not _DOCUMENT.fullmatch(base))
            ):
                self.paths.add(name)

    def _go_file(self, directory: str, base: str, *, tested: bool) -> None:
        path = posixpath.normpath(posixpath.join(directory, base))
        found = self._survey.files.get(path, _NOTHING)
        if not found.read:
            raise _Whole(f"{path} could not be searched")
        if _ruled_out(base, found, self._tags):
            if tested:  # `go vet`, which `go test` runs, looks at their constraints
                self.paths.add(path)
            return
        self.paths.add(path)
        self._waiting += found.imports
        for arguments in found.embeds:
            self._embed(directory, arguments)
        if found.foreign and found.cgo:
            raise _Whole(f"{path} gives the C compiler files of other directories")
        if self._tests:
            self._reads(path, directory, found)

    def _beside(self, directory: str, base: str) -> None:
        path = posixpath.normpath(posixpath.join(directory, base))
        if self._survey.files.get(path, _NOTHING).foreign:
            raise _Whole(f"{path} includes files of other directories")
        self.paths.add(path)

    def _embed(self, directory: str, arguments: str) -> None:
        """Take in what a `//go:embed` line names; all of the directory if it is hard to read."""
        if any(c in arguments for c in '"`[\\'):
            self._tree(directory)
            return
        for pattern in arguments.split():
            self._glob(directory, pattern.removeprefix("all:"))

    def _glob(self, directory: str, pattern: str) -> None:
        if "*" not in pattern and "?" not in pattern:
            self._tree(posixpath.normpath(posixpath.join(directory, pattern)))
            return
        fixed = posixpath.normpath(posixpath.join(directory, pattern))
        parts = (re.escape(p).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for p in [fixed])
        matching = re.compile("".join(parts) + "(/.*)?")
        self.paths.update(name for name in self._survey.names if matching.fullmatch(name))

    def _tree(self, path: str) -> None:
        """Take in a file, or all that is below a directory."""
        if path in self._names:
            self.paths.add(path)
        self.paths.update(n for n in self._survey.names if path == "." or n.startswith(f"{path}/"))

    def _reads(self, path: str, directory: str, found: GoFile) -> None:
        """Take in what a file may open while a test runs."""
        if found.everything:
            raise _Whole(f"{path} runs Go itself, or asks where its own source is")
        self._lists = self._lists or found.lists
        self._loads = self._loads or found.loads
        # A test's own code runs where its package is; what it calls, where any of the tests is.
        places = {directory} if path.endswith("_test.go") else {directory, *self._tested}
        for upward in found.upward:
            if upward.rstrip("/").endswith(".."):
                raise _Whole(f"{path} names {upward!r}")
            fixed = re.split(r"[*?\[%$\\]", upward)[0]
            for place in places:
                self._up(path, place, fixed if fixed == upward else _above(fixed))

    def _up(self, path: str, place: str, upward: str) -> None:
        at = posixpath.normpath(posixpath.join(place, upward))
        if at == ".":
            raise _Whole(f"{path} names all that is around it")
        if at == ".." or at.startswith("../"):
            return  # nothing of the source is out there
        self._tree(at)
        if not _below(at, self._home(place)):
            self.beyond = self.beyond or f"{path} names {upward!r}"

    def _home(self, place: str) -> str:
        """Find the directory of the module that the tests of a package are of."""
        if "go.work" not in self._names:
            return self._module
        above = [place, *_parents(f"{place}/")]
        return next((at for at in above if posixpath.join(at, "go.mod") in self._names), ".")


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _parents(name: str) -> Iterator[str]:
    at = name.rfind("/")
    while at > 0:
        yield name[:at]
        at = name.rfind("/", 0, at)
