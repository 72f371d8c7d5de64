"""What Go says is told as what it is: whose fault, which exit code, which way out."""

from types import SimpleNamespace

import dagger
import pytest

from pipelines import CacheIntegrityError, InfrastructureError, SourceError, StageFailed, UsageError
from pipelines.go._diagnosis import CompilerMissing, diagnosis, without_release

# What Go 1.26 printed, shortened; the class that it is, and what the way out says.
SAID = [
    (
        "package m\n\timports m/a\n\timports m/a from b.go: import cycle not allowed",
        StageFailed,
        "imports m/a from b.go",
    ),
    (
        (
            "a.go:2:8: missing go.sum entry for module providing package x.org/y (imported by m); "
            "to add:\n\tgo get m"
        ),
        StageFailed,
        "what x.org/y needs; run `go mod tidy`",
    ),
    ("go: x.org/y@v1.0.0: missing go.sum entry for go.mod file", StageFailed, "run `go mod tidy`"),
    ("go: updates to go.mod needed; to update it:\n\tgo mod tidy", StageFailed, "`go mod tidy`"),
    (
        "main.go:2:8: no required module provides package x.org/y; to add it:\n\tgo get x.org/y",
        StageFailed,
        "run `go get x.org/y`",
    ),
    (
        "# x.org/y\nno required module provides package x.org/y; to add it:\n\tgo get x.org/y",
        UsageError,
        "no required module provides package x.org/y: a package of the source begins with ./",
    ),
    ("cannot find module providing package x.org/y: import lookup disabled", UsageError, "x.org/y"),
    ('malformed import path "bad path": invalid char', UsageError, '"bad path"'),
    (
        "go: x.org/y@v1.0.0: reading http://p/x.org/y/@v/v1.0.0.mod: 404 Not Found",
        StageFailed,
        "x.org/y@v1.0.0 is not to be had (404 Not Found)",
    ),
    ("go: x.org/y@v1.0.0: reading http://p/y.mod: 410 Gone", StageFailed, "410 Gone"),
    ("go: x.org/y@v1.0.0: reading http://p/y.mod: 401 Unauthorized", UsageError, "netrc="),
    (
        (
            "go: x.org/y@v1.0.0: git ls-remote -q https://x.org/y: exit status 128:\n"
            "\tfatal: could not read Username for 'https://x.org': terminal prompts disabled"
        ),
        UsageError,
        "pass netrc=",
    ),
    ('go: x.org/y@v1: exec: "git": executable file not found in $PATH', UsageError, "no git"),
    (
        "go: x.org/y@v1.0.0: reading http://p/y.mod: 503 Service Unavailable",
        InfrastructureError,
        "failed (503) when asked for x.org/y@v1.0.0",
    ),
    ("go: x.org/y@v1.0.0: reading http://p: 429 Too Many Requests", InfrastructureError, "(429)"),
    (
        (
            'go: x.org/y@v1.0.0: Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: '
            "connection refused"
        ),
        InfrastructureError,
        "dial tcp 127.0.0.1:1: connect: connection refused)",
    ),
    (
        (
            "verifying x.org/y@v1.0.0: checksum mismatch\n\tdownloaded: h1:a\n\tgo.sum: h1:b\n\n"
            "SECURITY ERROR\nThis download does NOT match"
        ),
        CacheIntegrityError,
        "x.org/y@v1.0.0 is not what go.sum says",
    ),
    (
        "go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)",
        SourceError,
        "go.mod wants Go 1.99, and this is Go 1.26.8: pass version='1.99'",
    ),
    (
        'go: warning: "./e/..." matched no packages\ngo: no main packages to build',
        UsageError,
        "the pattern ./e/... matches no package",
    ),
    ("stat /src/nope: directory not found", UsageError, "there is no package /src/nope"),
    ("pattern ./n/...: lstat ./n/: no such file", UsageError, "there is no package ./n/..."),
    ("package nosuch/pkg is not in std (/usr/local/go/src/n)", UsageError, "package nosuch/pkg"),
    ("no Go files in /src", SourceError, "/src has no Go files"),
    ("package m: build constraints exclude all Go files in /src/e", SourceError, "build tags"),
    ("go: no main packages to build", UsageError, "none of the packages is a command"),
    (
        '# runtime/cgo\ncgo: C compiler "gcc" not found: exec: "gcc": executable file not found',
        CompilerMissing,
        'pass cgo="zig"',
    ),
]
CODES = {StageFailed: 1, UsageError: 2, SourceError: 2, CompilerMissing: 2, InfrastructureError: 6,
         CacheIntegrityError: 7}  # fmt: skip


@pytest.mark.parametrize(("said", "kind", "out"), SAID, ids=[out for _, _, out in SAID])
def test_a_failure_is_told_as_what_it_is_with_the_way_out(said, kind, out):
    error = diagnosis(said)
    assert type(error) is kind
    assert error.exit_code == CODES[kind]
    assert out in str(error)
    assert said.splitlines()[-1].strip()[-12:] in str(error)  # Go's own words are not lost


@pytest.mark.parametrize(
    "said",
    ["./main.go:3:16: undefined: answer", "# m\nmain.go:1:1: expected 'package'", ""],
)
def test_what_a_compiler_says_stays_as_it_is(said):
    assert diagnosis(said) is None


def refused(message):
    said = SimpleNamespace(message=message, extensions={})
    return dagger.QueryError([said], SimpleNamespace(document=None))


def test_a_release_of_go_that_is_not_there_is_said_to_be_the_project_s_wish():
    failed = refused("image golang:1.99: no Go release matches '1.99'")
    error = without_release(failed)
    assert isinstance(error, SourceError)
    assert "Go 1.99 is wanted by go.mod" in str(error)
    assert without_release(refused("image busybox: not found")) is None
