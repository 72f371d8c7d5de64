r"""Where a test says something: the lines of source in its output, with what is said of each.

Three things name a line: a test's log (`    x_test.go:12: message`, the lines that go on with it
indented further), the compiler (`./x.go:12:3: message`, with a tab before those that go on), and
a trace (`\t/src/x.go:12 +0x1d`), whose message is that of the panic.

Go's log does not tell an error from what was only logged. The source does: `told_first` puts the
lines that call `Log`, or the package `log`, behind those that do not, so that the first place is
one that failed the test.

Source: `testing.T.Log` in `go doc testing`; `go help test`.
"""

import posixpath
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Place", "places", "told_first"]

LONGEST = 2000  # characters of a message: what readers of annotations show
_LINE = r"^(?P<margin>\s*)(?P<file>[^\s:][^:\n]*\.(?:go|s|c|h)):(?P<line>\d+)(?::\d+)?[:\s]"
_LOGS = re.compile(r"\.Logf?\(|\bs?log\.(Print|Debug|Info|Warn|Error)")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source file; `file` is a path from the source's root."""

    file: str
    line: int
    message: str


def places(text: str, directory: str, module: str, root: str) -> Iterator[Place]:
    """Find the places that output names; of traces, those of this module.

    Args:
        text: What a test or the compiler printed.
        directory: The package's, from the module's root: a log has names of files only.
        module: The module's path, with which names begin where paths are trimmed.
        root: The module's directory, from the source's root.
    """
    panic = re.search(r"^panic: .*$", text, re.MULTILINE)
    for found, more in _said(text.splitlines()):
        if found["file"] == "_testmain.go":
            continue
        file, rest = found["file"].removeprefix("/src/"), found.string[found.end() :].strip()
        trace = found["margin"] == "\t" and rest.startswith("+0x")
        if file.startswith("/"):
            continue  # the toolchain's own
        if module and file.startswith(f"{module}/"):
            file = file[len(module) + 1 :]  # as -trimpath writes it
        elif trace and file == found["file"]:
            continue  # of the standard library, or of another module
        elif "/" not in file:
            file = posixpath.join(directory, file)
        message = panic[0] if trace and panic else _joined(rest, more)
        if not found["file"].startswith("/src/"):
            file = posixpath.join(root, file)
        yield Place(posixpath.normpath(file), int(found["line"]), message)


def told_first(found: Sequence[Place], sources: Mapping[str, Sequence[str]]) -> tuple[Place, ...]:
    """Put what was only logged behind the rest; `sources` are the lines of files, as far as known.

    The order is otherwise kept.
    """

    def logged(place: Place) -> bool:
        lines = sources.get(place.file, ())
        return 0 < place.line <= len(lines) and bool(_LOGS.search(lines[place.line - 1]))

    return tuple(sorted(found, key=logged))


def _said(lines: Sequence[str]) -> Iterator[tuple[re.Match[str], Sequence[str]]]:
    """Give each line that names a place, with those that go on with it."""
    at = 0
    while at < len(lines):
        found = re.match(_LINE, lines[at])
        at += 1
        if found is None:
            continue
        # The compiler goes on with a tab. What stands four spaces in after it is a test's own log.
        start, deeper = at, f"{found['margin']}    " if found["margin"] else "\t"
        while at < len(lines) and lines[at].startswith(deeper):
            at += 1
        yield found, lines[start:at]


def _joined(first: str, more: Sequence[str]) -> str:
    text = "\n".join([first, textwrap.dedent("\n".join(more))]).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
