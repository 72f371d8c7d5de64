"""Programs written in Go that checks need: built by the stage, pinned, cached like any command."""

from pipelines._cache import mount
from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines.go._caches import caches
from pipelines.go._env import base, lent

__all__ = ["GO", "GOLANGCI_LINT", "GOVULNCHECK", "tool"]

GO = "1.26"  # what tools are built with: a project's own Go may be too old for them
GOLANGCI_LINT = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.1"
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.6.0"


def tool(package: str, *, version: str = GO) -> dagger.File:
    """Build a program of a module, such as `golang.org/x/tools/cmd/stringer@v0.48.0`.

    Args:
        package: The package with the version of its module. A version is a must: what `@latest` is
            changes, and the cache would not know.
        version: The Go that builds it.

    Raises:
        UsageError: no version is given, or one that moves.
    """
    path, at, pinned = package.partition("@")
    if not at or pinned in {"", "latest", "upgrade", "patch"} or not path:
        raise UsageError(f"a tool is pinned: {path or 'package'}@v1.2.3; got {package!r}")
    container = lent(base(version)).with_(mount(*caches(version)[1:]))
    container = container.with_env_variable("GOBIN", "/out").with_env_variable("CGO_ENABLED", "0")
    return container.with_exec(["go", "install", "-trimpath", package]).file(
        f"/out/{_program(path)}"
    )


def _program(path: str) -> str:
    """Name the program that Go makes of a package: its last element that is no major version."""
    *_, above, last = ["", *path.split("/")]
    major = last[:1] == "v" and last[1:].isdigit()
    return above if major else last
