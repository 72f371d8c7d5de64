"""The Go toolchain: test, and build for every platform, with caches that are right per target.

    await go.test(source)
    await go.build(source, Platform("linux", "arm64"), "./cmd/...", stamp={"main.version": "1.2.0"})

The layers are always the same, each keyed by no more than it reads:

    base image (Go as go.mod says) → cache volumes → go.mod, go.sum, go.work of every module →
    `go mod download` → what the command can read, at /src → the target's variables → the command

so an edit of a .go file downloads nothing, an edit of go.sum downloads once for all targets, and an
edit of a file that no package of a target reads (`inputs`) does nothing at all.
`base` and `caches` extend the graph and are sync. What needs the Go version must read go.mod, which
forces it: `version`, `env`, `build` and `test` are async, and `build` and `test` end with the work
done.
"""

from pipelines.go._bench import bench
from pipelines.go._caches import MODULES, caches
from pipelines.go._checks import generate, lint, tidy, vet, vulncheck
from pipelines.go._closure import Inputs
from pipelines.go._commands import build
from pipelines.go._coverage import coverage
from pipelines.go._env import base, env
from pipelines.go._fuzz import FuzzFailed, fuzz
from pipelines.go._goreleaser import Target
from pipelines.go._inputs import inputs
from pipelines.go._licenses import LicensesRefused, licenses
from pipelines.go._plan import affected
from pipelines.go._project import Project, inspect, targets, version
from pipelines.go._report import TestsFailed, report
from pipelines.go._reproducible import reproducible
from pipelines.go._target import environment
from pipelines.go._test import test
from pipelines.go._testing import Testing
from pipelines.go._tools import tool
from pipelines.go._universal import universal
from pipelines.go._zig import Zig

__all__ = [
    "MODULES",
    "FuzzFailed",
    "Inputs",
    "LicensesRefused",
    "Project",
    "Target",
    "Testing",
    "TestsFailed",
    "Zig",
    "affected",
    "base",
    "bench",
    "build",
    "caches",
    "coverage",
    "env",
    "environment",
    "fuzz",
    "generate",
    "inputs",
    "inspect",
    "licenses",
    "lint",
    "report",
    "reproducible",
    "targets",
    "test",
    "tidy",
    "tool",
    "universal",
    "version",
    "vet",
    "vulncheck",
]
