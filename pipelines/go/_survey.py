"""What a source says of its packages: names, and the lines of Go files that decide who reads what.

One search over the source gives the lines; everything else is a pure function of them. What is
searched for is chosen so that a file can only ever seem to need *more* than it does: an import is
any quoted path of a module of this source, wherever it stands.

`Directory.search` and the selection of several fields at once are asked for through the SDK's own
query builder, which gives one query instead of one for every line found.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pipelines._dagger import dagger
from pipelines._memo import once
from pipelines.go._constraints import well_formed
from pipelines.go._directives import DIRECTIVES, doubtful

__all__ = [
    "FILES",
    "MANIFESTS",
    "MANIFEST_LINES",
    "GoFile",
    "Line",
    "Seen",
    "Survey",
    "found_modules",
    "module_of",
    "names_of",
    "pattern",
    "read",
    "seen",
    "survey",
]

# Go's own lines: package, comments before it, constraints, embedding, cgo and its flags.
_LINES = (
    r"^\s*package\s",
    r"^\s*/\*",
    *DIRECTIVES,
    r"^\s*//go:embed\s",
    r'["`]C["`]',
    r"^\s*(//|\*)?\s*#\s*(include|cgo|import|incbin|define)\b",
    r"\.incbin",
)
# What lets a test, or what it calls, read files elsewhere: paths upwards, documents, Go itself.
_READS = (
    r'["`]([^"`]*/)?\.\.',
    r'["`][^"`]*(?i:\.go["`]|\.(md|markdown|rst|adoc)\b|readme|licen[sc]e|changelog|notice|authors|codeowners)',
    r"\b(ReadDir|WalkDir|Walk|Glob|DirFS|Readdir\w*|ParseDir|FileServer|CopyFS)\(",
    r'(Command(Context)?|LookPath)\([^)]*["`](go|gofmt)["`]',
    r'["`](go|gofmt)["`],\s*["`](build|env|generate|install|list|mod|run|test|tool|vet)["`]',
    r"\b(runtime\.(Caller|CallersFrames)|FileLine|Getwd)\(",
)
# What asks where the source is, or Go's own: under -trimpath there is no answer.
_WHERE = r"\b(runtime\.(Caller|CallersFrames|GOROOT)|FileLine)\("
_LOADS = r"\bpackages\.Load\("  # golang.org/x/tools: runs `go list`, which reads code and no more
MANIFESTS = ("go.mod", "go.work")
MANIFEST_LINES = r"^\s*module\s|=>\s*\"?\.\.?(/|$)"
FILES = (
    "*.go", "*.s", "*.S", "*.sx", "*.c", "*.h", "*.cc", "*.cpp", "*.cxx", "*.hh", "*.hpp", "*.hxx",
    "*.m", "*.f", "*.F", "*.for", "*.f90", "*.swig", "*.swigcxx",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was found."""

    path: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class GoFile:
    """What a file of a package says.

    `imports` are quoted paths of this source's modules, `embeds` the patterns after
    `//go:embed`, `upward` the paths with `..` in them. `constraint` is None if there is none,
    "?" if there may be one that was not understood. `read` says that its package clause was seen:
    a file without one was not searched as it should have been. `package` is the name in it, "" if
    Go may refuse the file, as a test, for what was found around it. `foreign` gives the C compiler
    or assembler files of other directories, `lists` may list directories or read documents, `loads`
    reads any package's code, and `everything` runs Go, or asks where its own source is. `doubtful`
    has a line that `go vet` may refuse, if the file is for another target.
    """

    constraint: str | None = None
    imports: frozenset[str] = frozenset()
    embeds: tuple[str, ...] = ()
    upward: tuple[str, ...] = ()
    cgo: bool = False
    foreign: bool = False
    lists: bool = False
    loads: bool = False
    everything: bool = False
    read: bool = False
    package: str = ""
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """A source: every path in it, its modules (import path to directories), its Go files."""

    names: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    files: Mapping[str, GoFile]
    directories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a survey is read from: names, modules, and the lines that were found."""

    names: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    lines: tuple[Line, ...]

    @property
    def asks_where(self) -> bool:
        """Whether a file asks for a path that -trimpath takes away."""
        return any(re.search(_WHERE, line.text) for line in self.lines)

    def digest(self) -> str:
        """Digest all that a survey says; where in a file a line stands it does not."""
        texts: dict[str, list[str]] = {}
        for line in sorted(self.lines, key=lambda line: (line.path, line.number)):
            texts.setdefault(line.path, []).append(line.text)
        said = [self.names, sorted(self.modules.items()), list(texts.items())]
        return sha256(repr(said).encode("utf-8", "surrogateescape")).hexdigest()


async def survey(source: dagger.Directory) -> Survey:
    """Survey a source, once a connection.

    Raises:
        dagger.QueryError: this engine can not search.
    """
    return await once(source, "go survey", lambda: _survey(source))


async def seen(source: dagger.Directory) -> Seen:
    """Look through a source, once a connection.

    Raises:
        dagger.QueryError: this engine can not search.
    """
    return await once(source, "go lines", lambda: _ask(source))


async def names_of(source: dagger.Directory) -> list[str]:
    """List every path in a source that is no directory, sorted; once a connection."""
    return await once(source, "names", lambda: _names(source))


async def _names(source: dagger.Directory) -> list[str]:
    return sorted(name for name in await source.glob("**") if not name.endswith("/"))


async def module_of(source: dagger.Directory, directory: str) -> str:
    """Read the import path of the module in a directory; "" if its go.mod does not say."""
    name = posixpath.normpath(posixpath.join(directory, "go.mod"))
    try:
        text = await once(source, f"go.mod in {name}", source.file(name).contents)
    except dagger.QueryError:
        return ""  # a workspace without a module at its top
    lines = [Line(name, number, line) for number, line in enumerate(text.splitlines(), 1)]
    at = posixpath.dirname(name) or "."
    return next((path for path, where in found_modules(lines).items() if at in where), "")


async def _survey(source: dagger.Directory) -> Survey:
    found = await seen(source)
    return read(found.names, found.modules, found.lines)


async def _ask(source: dagger.Directory) -> Seen:
    modules = found_modules(await _search(source, MANIFEST_LINES, MANIFESTS))
    lines = await _search(source, pattern(modules), FILES)
    return Seen(tuple(await names_of(source)), modules, tuple(lines))


def pattern(modules: Iterable[str]) -> str:
    """Spell what is looked for in Go files, given the import paths of the source's modules."""
    own = "|".join(re.escape(path).replace(r"\-", "-") for path in sorted(modules))
    return "|".join((*_LINES, *_READS, _WHERE, _LOADS, *([rf'["`]({own})[/"`]'] if own else [])))


async def _search(source: dagger.Directory, pattern: str, globs: tuple[str, ...]) -> list[Line]:
    from dagger.client._core import Arg

    arguments = [Arg("pattern", pattern), Arg("globs", list(globs))]
    found: Any = source._select("search", arguments)  # type: ignore[no-untyped-call] # noqa: SLF001
    fields = found.select_multiple(
        "SearchResult", path="filePath", number="lineNumber", text="matchedLines"
    )
    lines: list[Line] = await fields.execute(list[Line])
    return lines


_MODULE = r'(?:module\s+)?"?([^\s"()]+)"?'
_REPLACE = r'(?:replace\s+)?"?([^\s"]+)"?(?:\s+v\S+)?\s*=>\s*"?(\.[^\s"]*)'


def found_modules(lines: Iterable[Line]) -> dict[str, tuple[str, ...]]:
    """Find the modules of a source, and what `replace` puts in their place.

    Of one path there may be several, such as in the testdata of tools: which one Go takes depends
    on where it starts.
    """
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        at = posixpath.dirname(line.path)
        text = line.text.partition("//")[0].strip()
        if text.startswith("module") and (module := re.fullmatch(_MODULE, text)):
            found.setdefault(module[1], {})[at or "."] = None
        elif swap := re.search(_REPLACE, text):
            place = posixpath.normpath(posixpath.join(at, swap[2]))
            found.setdefault(swap[1], {})[place] = None
    return {path: tuple(places) for path, places in found.items()}


def read(
    names: Iterable[str], modules: Mapping[str, tuple[str, ...]], lines: Iterable[Line]
) -> Survey:
    """Make a survey of the names and lines that were found."""
    by_file: dict[str, list[Line]] = {}
    for line in lines:
        by_file.setdefault(posixpath.normpath(line.path), []).append(line)
    quoted = re.compile(
        r'["`]((?:' + "|".join(map(re.escape, sorted(modules))) + r')(?:/[^"`]*)?)["`]'
    )
    names = tuple(names)
    directories: dict[str, list[str]] = {}
    for name in names:
        above, _, base = name.rpartition("/")
        directories.setdefault(above or ".", []).append(base)
    files = {path: _file(path, found, quoted) for path, found in by_file.items()}
    return Survey(names, modules, files, {k: tuple(v) for k, v in directories.items()})


def _file(path: str, lines: list[Line], quoted: re.Pattern[str]) -> GoFile:
    lines.sort(key=lambda line: line.number)
    texts = [line.text.strip() for line in lines]
    clause = next((at for at, text in enumerate(texts) if re.match(r"package\s", text)), None)
    together = "\n".join(texts)
    header = [line.text.rstrip() for line in lines[:clause]]
    return GoFile(
        constraint="?" if re.fullmatch(_DOCUMENTS, texts[clause or 0]) else _constraint(header),
        imports=frozenset(quoted.findall(together)),
        embeds=tuple(t.removeprefix("//go:embed") for t in texts if t.startswith("//go:embed")),
        upward=_upward(texts),
        cgo='"C"' in together or "`C`" in together,
        foreign=any(map(_leaves, texts)),
        lists=re.search(_LISTS, together) is not None,
        loads=re.search(_LOADS, together) is not None,
        everything=re.search(_GO_ITSELF, together) is not None,
        read=clause is not None,
        package=_package(texts, clause),
        doubtful=doubtful([line.text for line in lines], clause, go=path.endswith(".go")),
    )


_DOCUMENTS = r"package\s+documentation\b.*"  # a file of which Go takes no notice


def _constraint(header: list[str]) -> str | None:
    """Give the constraint in the lines before the package clause; "?" if there is any doubt."""
    rules = [line.removeprefix("//go:build") for line in header if re.match(r"//go:build\s", line)]
    if any(line.lstrip().startswith("/*") for line in header):  # it may be inside of a comment
        return "?" if rules else None
    if len(rules) > 1:
        return "?"
    old = any(re.match(r"// \+build\s", line) for line in header)
    return rules[0] if rules else "?" if old else None


def _package(texts: Sequence[str], clause: int | None) -> str:
    """Give the name in the package clause; "" where Go may refuse the file as a package's test."""
    rules = [text for text in texts[:clause] if text.startswith("//go:build")]
    if clause is None or len(rules) > 1:
        return ""
    if any(not well_formed(rule.removeprefix("//go:build")) for rule in rules):
        return ""
    if any(re.match(r'(import\b.*)?[\w.]*\s*["`]C["`]', text) for text in texts):
        return ""
    name = re.match(r"package\s+(\w+)", texts[clause])
    return name[1] if name else ""


def _upward(texts: Iterable[str]) -> tuple[str, ...]:
    """Find paths with `..` in them; what is only compared with one, or a comment, reads nothing."""
    code = "\n".join(re.sub(_COMPARED, "", text) for text in texts if not text.startswith("//"))
    found = re.findall(r'["`]((?:[^"`\n]*/)?\.\.[^"`\n]*)', code)
    return tuple(path for path in found if ".." in path.split("/"))


_COMPARED = (
    r"(?:[=!]=|\bcase|\b(?:Has(?:Pre|Suf)fix|Contains|Index|Trim(?:Pre|Suf)fix|Count)\([^\"`]*,)"
    r"\s*[\"`][^\"`]*[\"`]"
)


_LISTS = "|".join(_READS[1:3])
_GO_ITSELF = "|".join(_READS[3:])


def _leaves(text: str) -> bool:
    """Tell whether a line of C or assembly may read files outside of its own directory."""
    if re.search(r"#\s*(include|import)\s*[\"<]", text):
        return re.search(r"#\s*(include|import)\s*\"[^\"]*/", text) is not None
    return re.search(r"#\s*cgo\b.*(-I|-L|-include|SRCDIR|\.\.)|incbin", text) is not None
