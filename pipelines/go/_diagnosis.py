"""What Go's own words mean: whose fault a failure is, and the way out. A table, first match wins.

Go ends with exit code 1 whatever happened. Here a module proxy that is down (exit code 6, worth
another try) is told from a go.sum that lacks a line (1), from content that is not what go.sum says
(7) and from a pattern that names nothing (2). What is not in the table stays what it is: a failed
command with its output, such as a compiler's.

The patterns are of Go 1.21 to 1.26: `cmd/go/internal/{load,modload,modfetch,web}`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines._dagger import dagger
from pipelines._errors import (
    CacheIntegrityError,
    InfrastructureError,
    PipelineError,
    SourceError,
    StageFailed,
    UsageError,
)
from pipelines.go._results import NAMELESS

__all__ = ["CompilerMissing", "diagnosis", "explained", "without_release"]

LONGEST = 2000  # characters of Go's own words that are shown

_TAGS = "build tags (tags=), the platform, and cgo decide which files are taken"


class CompilerMissing(UsageError):
    """C has to be compiled, and the image has no compiler."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Words of Go's, the error that they are, and what to say with the words' groups."""

    words: str
    error: Callable[[str], PipelineError]
    say: str

    def read(self, text: str) -> PipelineError | None:
        found = re.search(self.words, text, re.MULTILINE)
        if found is None:
            return None
        groups = {name: value or "" for name, value in found.groupdict().items()}
        return self.error(f"{self.say.format(**groups)}\n{_shown(text)}")


_MODULE = r"(?P<module>[\w.~/-]+\.[\w.~/-]+@[^\s:]+)"
_TABLE = (
    _Known(
        r"^verifying (?P<module>\S+): checksum mismatch",
        CacheIntegrityError,
        "{module} is not what go.sum says it is: it changed at its origin or on the way. Do "
        "not update go.sum before you know why; `go clean -modcache` and GOPROXY=direct tell "
        "whether the proxy or the origin has other content",
    ),
    _Known(
        r"import cycle not allowed",
        StageFailed,
        "packages import each other in a circle, which Go does not allow: move what both need "
        "into a package of its own",
    ),
    _Known(
        r"missing go\.sum entry for (module providing package|go\.mod file)? ?(?P<package>\S*)",
        StageFailed,
        "go.sum lacks what {package} needs; run `go mod tidy` and commit go.sum",
    ),
    _Known(
        r"missing go\.sum entry",
        StageFailed,
        "go.sum lacks an entry; run `go mod tidy` and commit go.sum",
    ),
    _Known(
        r"updates to go\.(mod|sum|work) needed|inconsistent vendoring",
        StageFailed,
        "go.mod is not up to date; run `go mod tidy` (with vendor/ `go mod vendor` too)",
    ),
    _Known(
        rf"(?P<what>{NAMELESS}[^\n;]*)",  # without the place of an import: it was asked for
        UsageError,
        "{what}: a package of the source begins with ./ or with the module's path, and one of "
        "another module needs a line in go.mod",
    ),
    _Known(
        r"no required module provides package (?P<package>[^\s;:]+)",
        StageFailed,
        "go.mod requires no module that has {package}; run `go get {package}` or "
        "correct the import",
    ),
    _Known(
        r"(?P<module>\S+) requires go >= (?P<wanted>\S+) \(running go (?P<here>[^\s;)]+)",
        SourceError,
        "{module} wants Go {wanted}, and this is Go {here}: pass version={wanted!r} or raise "
        "the `go` line if there is such a release, or require an older version of it",
    ),
    _Known(
        rf"{_MODULE}: [^\n]*(?P<status>40[47]|401|403) (Unauthorized|Forbidden|Proxy)",
        UsageError,
        "{module} is not given to who has no credentials ({status}): for a private module pass "
        "goprivate= and netrc=",
    ),
    _Known(
        r"(could not read Username|Authentication failed|Permission denied \(publickey|"
        r"terminal prompts disabled)",
        UsageError,
        "a module's repository asks for credentials: pass netrc=<Secret>, and its path "
        "in goprivate=",
    ),
    _Known(
        r'exec: "git": executable file not found',
        UsageError,
        "a module comes straight from its repository, and the image has no git: use "
        'image=dag.container().from_("golang:<version>-bookworm"), or a module proxy (GOPROXY)',
    ),
    _Known(
        rf"{_MODULE}: [^\n]*(?P<status>404 Not Found|410 Gone|invalid version: unknown revision)",
        StageFailed,
        "{module} is not to be had ({status}): there is no such version, or it is private: then "
        "pass goprivate= and netrc=; otherwise correct the require line (`go get MODULE@latest`)",
    ),
    _Known(
        rf"{_MODULE}: [^\n]*(?P<status>429|5\d\d) [A-Z]",
        InfrastructureError,
        "the module proxy failed ({status}) when asked for {module}: try again later, name another "
        "with GOPROXY, keep modules near with `pipelines proxy`, or commit vendor/",
    ),
    _Known(
        r'(?P<what>Get "[^"]+": [^\n]+|dial tcp\b[^\n]*|no such host|connection re(set|fused)\b|'
        r"TLS handshake timeout|i/o timeout|Could not resolve host|unexpected EOF)",
        InfrastructureError,
        "modules could not be downloaded, the network or the module proxy is down ({what}): try "
        "again later, name another proxy with GOPROXY, or commit vendor/",
    ),
    _Known(
        r'C compiler "(?P<program>[^"]*)" not found',
        CompilerMissing,
        'cgo needs a C compiler and there is no "{program}" in the image: pass cgo="zig", which '
        "brings one for every platform, or image= with one (golang:<version>-bookworm), or build "
        "without cgo",
    ),
    _Known(
        r'^go: warning: "(?P<pattern>[^"]+)" matched no packages',
        UsageError,
        "the pattern {pattern} matches no package of the source: patterns are relative to module=, "
        "such as ./cmd/...",
    ),
    _Known(
        r"^(pattern (?P<pattern>\S+): lstat|stat (?P<directory>\S+): directory not found)",
        UsageError,
        "there is no package {pattern}{directory} (relative to module=, such as ./cmd/...), or no "
        f"file of it is for this build: {_TAGS}",
    ),
    _Known(
        r"build constraints exclude all Go files in (?P<directory>\S+)",
        SourceError,
        f"no Go file of {{directory}} is for this build: {_TAGS}",
    ),
    _Known(
        r"no Go files in (?P<directory>\S+)",
        SourceError,
        "{directory} has no Go files: name the package to build, such as ./cmd/app, or ./...",
    ),
    _Known(
        r"^go: no main packages to build",
        UsageError,
        "none of the packages is a command (`package main`): name one that is, such as ./cmd/app",
    ),
)


def diagnosis(said: str) -> PipelineError | None:
    """Give the error that Go's output tells of, None if it is not known."""
    for known in _TABLE:
        if (error := known.read(said)) is not None:
            return error
    return None


@contextmanager
def explained() -> Iterator[None]:
    """Raise a failed command of Go's as what it is."""
    try:
        yield
    except dagger.ExecError as failed:
        if (error := diagnosis(failed.stderr)) is None:
            raise
        raise error from failed


def without_release(failed: dagger.QueryError) -> SourceError | None:
    """Tell whether an image of Go could not be had because there is no such release."""
    said = str(failed)
    found = re.search(r"golang:(?P<version>[\w.]+)", said)
    if found and re.search(r"no Go release matches|manifest unknown|not found", said):
        return SourceError(
            f"Go {found['version']} is wanted by go.mod, go.work or version=, and is not to be "
            "had: lower the `go` or `toolchain` line, or pass another version= or image=\n"
            f"{_shown(said)}"
        )
    return None


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
