"""The better file: a Dockerfile's text without what was found, everything else as it stands.

Statements that nothing is wrong with keep their lines, comments and continuations; the others
are changed where they have to be. What only its author can decide (which version of a base, how
a secret gets in) is left to them.
"""

import re
from collections.abc import Iterable

from pipelines.cli.dockerfile import reading
from pipelines.cli.dockerfile.findings import Finding
from pipelines.engine.dockerfile import parse
from pipelines.engine.dockerfile.instructions import Copy, Dockerfile, Instruction, Run, Stage
from pipelines.engine.dockerfile.source import Statement, read

__all__ = ["IGNORE", "better"]

IGNORE = """\
.git
.github
README.md
Dockerfile*
.dockerignore
"""
"""What a .dockerignore of a Go project begins with."""

_SYNTAX = "# syntax=docker/dockerfile:1\n"
_APT = ("/var/cache/apt", "/var/lib/apt")
_GO = re.compile(r"(?<![\w./-])(go\s+(?:build|install)\b)")


def better(text: str, findings: Iterable[Finding]) -> str:
    """Give the better text of a Dockerfile with these findings."""
    wrong: dict[int, set[str]] = {}
    for finding in findings:
        wrong.setdefault(finding.line, set()).add(finding.rule)
    if not wrong.keys() - {0}:
        return text
    parsed = parse(text)
    rewritten = _Rewriting(text, parsed, wrong)
    made = rewritten.text()
    if "--mount=" in made and not re.match(r"\s*#\s*syntax\s*=", made):
        made = _SYNTAX + made
    return made


class _Rewriting:
    """One pass over a Dockerfile's statements."""

    def __init__(self, text: str, dockerfile: Dockerfile, wrong: dict[int, set[str]]) -> None:
        self._lines = text.split("\n")
        self._statements = read(text).statements
        self._file = dockerfile
        self._wrong = wrong
        self._stages = {s.begin.where.line: s for s in dockerfile.stages}
        instructions = (one for stage in dockerfile.stages for one in stage.instructions)
        self._by_line: dict[int, Instruction] = {one.where.line: one for one in instructions}
        self._stage: Stage | None = None
        self._downloaded = self._declared = False

    def text(self) -> str:
        made: list[str] = []
        at = 0
        for statement in self._statements:
            made += self._lines[at : statement.where.line - 1]
            lines = "\n".join(self._lines[statement.where.line - 1 : statement.end])
            made += self._statement(statement, lines)
            at = statement.end
        return "\n".join([*made, *self._lines[at:]])

    def _statement(self, statement: Statement, lines: str) -> list[str]:
        rules = self._wrong.get(statement.where.line, set())
        if (stage := self._stages.get(statement.where.line)) is not None:
            self._stage, self._downloaded = stage, False
            self._declared = any("TARGETARCH" in one.text for one in stage.instructions)
            return [_begin(lines, rules)]
        one = self._by_line.get(statement.where.line)
        if isinstance(one, Copy):
            return self._copy(one, lines, rules)
        return self._run(one, lines, rules) if isinstance(one, Run) else [lines]

    def _copy(self, one: Copy, lines: str, rules: set[str]) -> list[str]:
        if "add" in rules:
            lines = re.sub(r"(?i)^(\s*)ADD\b", r"\1COPY", lines, count=1)
        if "copy-before-download" not in rules:
            return [lines]
        self._downloaded = True
        into = one.target if one.target.endswith("/") else one.target + "/"
        enter = "" if one.target.rstrip("/") in {"", "."} else f"cd {one.target} && "
        return [
            f"COPY go.mod go.sum {into}",
            f"RUN --mount=type=cache,target={reading.MODULE_CACHE} {enter}go mod download",
            lines,
        ]

    def _run(self, run: Run, lines: str, rules: set[str]) -> list[str]:
        if self._downloaded and re.fullmatch(r"\s*go\s+mod\s+download\s*", reading.line_of(run)):
            return []  # it stands above now
        if "rebuild-all" in rules:
            lines = re.sub(r"(\bgo\s+(?:build|install|test)\b[^&;|]*?)\s-a(?=\s|$)", r"\1", lines)
        lines = re.sub(r"\s-installsuffix[= ]\S+", "", lines)
        declared: list[str] = []
        if self._crosses() and _GO.search(lines):
            lines = re.sub(r"\b(GOOS|GOARCH)=\S+ ", "", lines)
            lines = _GO.sub(r"GOOS=$TARGETOS GOARCH=$TARGETARCH \1", lines)
            # As late as it can be: what stands above is the same for every target.
            declared = [] if self._declared else ["ARG TARGETOS TARGETARCH"]
            self._declared = True
        return [*declared, _with_mounts(lines, run, rules)]

    def _crosses(self) -> bool:
        at = self._stage.begin.where.line if self._stage is not None else 0
        return bool(self._wrong.get(at, set()) & {"emulated-build", "fixed-target"})


def _begin(lines: str, rules: set[str]) -> str:
    if "emulated-build" not in rules:
        return lines
    return re.sub(r"(?i)^(\s*FROM)\s+", r"\1 --platform=$BUILDPLATFORM ", lines, count=1)


def _with_mounts(lines: str, run: Run, rules: set[str]) -> str:
    """Add the cache mounts that are missing."""
    there = reading.mounted(run)
    mounts: list[str] = []
    commands = reading.go_commands(run)
    if "no-cache-mounts" in rules or (commands and reading.MODULE_CACHE not in there):
        paths = [reading.MODULE_CACHE]
        paths += [reading.BUILD_CACHE] if "no-cache-mounts" in rules else []
        mounts += [f"--mount=type=cache,target={path}" for path in paths if path not in there]
    if "apt-lists" in rules:
        mounts += [f"--mount=type=cache,target={path},sharing=locked" for path in _APT]
    if not mounts:
        return lines
    head = " \\\n    ".join(mounts)
    return re.sub(r"(?i)^(\s*RUN)\s+", lambda m: f"{m[1]} {head} \\\n    ", lines, count=1)
