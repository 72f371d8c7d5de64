"""Lines to statements: directives, comments, continuations and heredocs.

Theory of operation
    Comment lines directly at the top may be directives (`# escape=`, `# syntax=`); the first
    line that is none ends them. A statement is a line and all that its continuation lines add;
    comment lines and empty lines among them count for nothing. A statement that may have
    heredocs (ADD, COPY, RUN, and those behind ONBUILD) swallows the lines that follow it, one
    heredoc after the other, up to each one's terminator.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.engine.dockerfile.words import flags_of, heredoc_words
from pipelines.engine.errors import DockerfileError

__all__ = ["Heredoc", "Source", "Statement", "Where", "read"]

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)", re.DOTALL)
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOCS_IN = frozenset({"ADD", "COPY", "RUN"})


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a Dockerfile; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def error(self, what: str) -> DockerfileError:
        """Say what is wrong here."""
        return DockerfileError(self.file, self.line, what)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document inside of a Dockerfile; with `<<-`, `content` has lost its leading tabs.

    `raw` is the content as it stands there; `expand` says that the name was not quoted.
    """

    name: str
    content: str
    expand: bool
    raw: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction, not yet understood: `text` is all of it on one line."""

    where: Where
    end: int
    name: str
    flags: tuple[str, ...]
    rest: str
    text: str
    escape: str
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A Dockerfile's statements and what its directives say."""

    statements: tuple[Statement, ...]
    escape: str = "\\"
    syntax: str = ""


def read(text: str, file: str = "Dockerfile") -> Source:
    """Cut a Dockerfile's text into statements.

    Raises:
        DockerfileError: a directive or heredoc that is not one, a heredoc without an end, or
            no statement at all.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    directives = _directives(lines, file)
    escape = directives.get("escape", "\\")
    statements = tuple(_Reader(lines, file, escape).statements())
    if not statements:
        raise DockerfileError(file, 1, "there is no instruction in it; begin with FROM")
    return Source(statements, escape, directives.get("syntax", ""))


def _directives(lines: Sequence[str], file: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or (name := match[1].lower()) not in _DIRECTIVES:
            break
        if name in found:
            raise DockerfileError(file, number, f"the directive {name} stands there twice")
        if name == "escape" and match[2] not in {"\\", "`"}:
            raise DockerfileError(file, number, f"escape={match[2]}: it is either \\ or `")
        found[name] = match[2]
    return found


class _Reader:
    """Reads statements from lines, from the first to the last."""

    def __init__(self, lines: Sequence[str], file: str, escape: str) -> None:
        self._lines = lines
        self._file = file
        self._escape = escape
        self._at = 0
        mark = re.escape(escape)
        self._continues = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*$")

    def statements(self) -> Iterator[Statement]:
        while self._at < len(self._lines):
            start = self._at + 1
            text = self._logical()
            if text.strip():
                yield self._statement(text.strip(), start)

    def _logical(self) -> str:
        """Read a line with all that continues it; a comment or an empty line gives ""."""
        pieces: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip("\r")
            self._at += 1
            if line.lstrip().startswith("#"):
                if not pieces:
                    return ""
                continue
            if not pieces:
                line = line.lstrip()
            elif not line.strip():
                continue
            cut = self._continues.search(line)
            pieces.append(line[: cut.start()] if cut else line)
            if not cut:
                break
        return "".join(pieces)

    def _statement(self, text: str, start: int) -> Statement:
        where = Where(self._file, start)
        name, _, rest = _split(text)
        flags, rest = flags_of(rest, self._escape)
        first = _split(rest)[0].upper() if name.upper() == "ONBUILD" else name.upper()
        heredocs: tuple[Heredoc, ...] = ()
        if first in _HEREDOCS_IN and "<<" in text:
            heredocs = tuple(self._heredocs(rest, where))
        return Statement(
            where, self._at, name.upper(), flags, rest.strip(), text, self._escape, heredocs
        )

    def _heredocs(self, rest: str, where: Where) -> Iterator[Heredoc]:
        for word in heredoc_words(rest):
            found = heredoc_of(word)
            if found is not None:
                name, chomp, expand = found
                yield self._heredoc(name, chomp, expand, where)

    def _heredoc(self, name: str, chomp: bool, expand: bool, where: Where) -> Heredoc:
        lines: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            end = line.rstrip("\r")
            if (end.lstrip("\t") if chomp else end) == name:
                raw = "".join(lines)
                content = re.sub(r"(?m)^\t+", "", raw) if chomp else raw
                return Heredoc(name, content, expand, raw)
            lines.append(line + "\n")
        raise where.error(f"the heredoc <<{name} has no end: no line says {name} and nothing else")


def heredoc_of(word: str) -> tuple[str, bool, bool] | None:
    """Read a word such as `<<EOF` or `<<-"EOF"`: name, whether tabs go, whether to expand."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3].strip():
        return None
    quoted = match[3]
    name = re.sub(r"[\"']", "", quoted)
    if not name or re.search(r"\s", name):
        return None
    return name, bool(match[2]), name == quoted


def _split(text: str) -> tuple[str, str, str]:
    name, *rest = re.split(r"[\t\v\f\r ]+", text, maxsplit=1)
    return name, " ", rest[0] if rest else ""
