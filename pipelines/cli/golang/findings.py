"""The checks: each looks at the lines of one file and says what keeps Go's caches from working.

Commands are looked for where people put them: makefiles, shell scripts, Dockerfiles, CI
configurations; what keeps a test from being cached, in test files. Measured figures are of
go-containerregistry's `crane` on two cores, Go 1.26.8, 2026-11-23; see docs/performance.md.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Finding", "find", "goflags", "kind"]

_COMMANDS = re.compile(
    r"(^|/)(Makefile|makefile|GNUmakefile|Dockerfile[^/]*|Taskfile\.ya?ml|Jenkinsfile|justfile|"
    r"\.gitlab-ci\.ya?ml|azure-pipelines\.ya?ml|\.goreleaser\.ya?ml)$"
    r"|\.(mk|sh|bash|dockerfile)$|^\.github/(workflows|actions)/.*\.ya?ml$|^\.circleci/.*\.ya?ml$"
)
_GO = re.compile(r"\bgo\s+(build|install|test|run|vet)\b(?P<rest>[^#\n]*)")
_ENVIRONMENT = re.compile(
    r"os\.(Getenv|LookupEnv)\(\"(?P<name>(GITHUB|CI|BUILDKITE|CIRCLE|GITLAB|RUNNER|DRONE)_"
    r"(\w*(SHA|RUN|ID|NUMBER|REF|ATTEMPT)\w*)|BUILD_(ID|NUMBER))\""
)
_WRITES = re.compile(r"os\.(WriteFile|Create|MkdirAll|Mkdir)\(\"(?!/)[^\"]+\"")
# Which modules there are, what is printed, how much at once; -buildvcs is for links alone.
_UNKEYED = re.compile(r"--?(mod|modfile|modcacherw|buildvcs|v|x|n|p|json)(=|$)")
# After one of these, names are not of the package's directory.
_ELSEWHERE = re.compile(r"(?i)\w*(chdir|mktmp|mktemp)\w*\(")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing at a line of a file: what it is, what it costs, and what to do."""

    file: str
    line: int
    rule: str
    what: str
    costs: str
    do: str


def kind(path: str) -> str:
    """Tell what a file is looked at for: "commands", "tests" or "" for nothing."""
    if path.endswith("_test.go"):
        return "tests"
    return "commands" if _COMMANDS.search(path) else ""


def find(path: str, text: str) -> Iterator[Finding]:
    """Find what is slow in a file, line by line; where a test writes, once a file."""
    checks = {"commands": (_command, _cache_key, _goarm), "tests": (_test,)}.get(kind(path), ())
    said = {"writes"} if _ELSEWHERE.search(text) else set[str]()
    for number, line in _joined(text):
        for check in checks:
            for rule, what, costs, do in check(line):
                if rule in said:
                    continue
                if rule == "writes":
                    said.add(rule)
                yield Finding(path, number, rule, what, costs, do)


def goflags(files: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Find values of GOFLAGS that differ: every value has a build cache of its own."""
    seen: dict[str, tuple[str, int]] = {}
    for path, text in files:
        if kind(path) != "commands":
            continue
        for number, line in _joined(text):
            found = re.search(r"\bGOFLAGS\s*[:?]?=\s*[\"']?(?P<value>[^\"'\n]*)", line)
            if found is None or "$" in found["value"]:
                continue
            if (value := _keyed(found["value"])) in seen:
                continue
            if seen:
                where = next(iter(seen.values()))
                yield Finding(
                    path,
                    number,
                    "goflags",
                    f"GOFLAGS has {value or 'none'} here of the flags that key what is compiled, "
                    f"and others in {where[0]}:{where[1]}",
                    "flags such as -trimpath, -race and -tags key everything that is compiled: two "
                    "sets of flags compile all packages twice (17 s of CPU a target)",
                    "set it once, for all commands",
                )
            seen[value] = (path, number)


def _keyed(flags: str) -> str:
    """Give the flags that are in Go's keys, sorted; the first word that is none ends them."""
    given = itertools.takewhile(lambda word: word.startswith("-"), flags.split())
    return " ".join(sorted(flag for flag in given if not _UNKEYED.match(flag)))


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; lines that end in a backslash belong to the next."""
    began, waiting = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        if line.rstrip().endswith("\\"):
            waiting += line.rstrip()[:-1] + " "
            continue
        if not line.lstrip().startswith("#"):
            yield began, waiting + line
        began, waiting = 0, ""


_Said = tuple[str, str, str, str]


def _command(line: str) -> Iterator[_Said]:
    for found in _GO.finditer(line):
        rest = re.split(r"&&|\|\||;", found["rest"])[0]
        words = rest.split()
        if "-a" in words:
            yield (
                "rebuild-all",
                f"`go {found[1]} -a` compiles everything, the standard library too, every time",
                "210 s of CPU for six targets instead of 3; it never reads the cache",
                "leave -a out: Go knows what changed",
            )
        if "-installsuffix" in words:
            yield (
                "installsuffix",
                "-installsuffix does nothing since Go 1.10",
                "no time by itself; it comes with -a, which costs all of it",
                "leave it out; CGO_ENABLED is in the cache's keys",
            )
        if "-count=1" in words and found[1] == "test":
            yield (
                "count",
                "`go test -count=1` runs every test, whatever changed",
                "8 s instead of 0.3 for 37 packages of which none changed",
                "leave it out; tests that must run read a variable that changes with every run",
            )


def _cache_key(line: str) -> Iterator[_Said]:
    if "hashFiles" in line and "go.sum" in line and re.search(r"\bkey\s*:", line):
        parts = ("matrix.", "GOOS", "GOARCH", "go.mod", "**/*.go", "github.sha", "go-version")
        if not any(part in line for part in parts):
            yield (
                "cache-key",
                "the cache's key is made of go.sum alone",
                "who saves first decides what all restore: 12 minutes instead of 1, in one project",
                "put the Go version, the target and the kind of build into the key",
            )


def _goarm(line: str) -> Iterator[_Said]:
    if re.search(r"GOARM\s*[:=]\s*[\"']?(v[567]\b|\$TARGETVARIANT\b|\$\{TARGETVARIANT\})", line):
        yield (
            "goarm",
            "GOARM is given the variant of an image (`v6`), which Go takes for ARMv7",
            "binaries that stop with an illegal instruction on ARMv6 machines",
            "`GOARM=6`: the number, or ${TARGETVARIANT#v} in a Dockerfile",
        )


def _test(line: str) -> Iterator[_Said]:
    if found := _ENVIRONMENT.search(line):
        yield (
            "environment",
            f"the test reads {found['name']}, which is another in every run",
            "Go keeps a result for the variables that a test read: this one is never cached in CI",
            "read it where tests are started, or be content: some are meant to run always",
        )
    if _WRITES.search(line.partition("//")[0]):
        yield (
            "writes",
            "the test writes into its own directory",
            "a test that opens files younger than two seconds, or lists them, is never cached",
            "write into t.TempDir()",
        )
