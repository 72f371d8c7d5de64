"""What a source directory says about itself: Go version, modules, vendoring."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines._dagger import dagger
from pipelines._errors import SourceError, UsageError
from pipelines._given import directory
from pipelines._given import text as given_text
from pipelines._memo import once
from pipelines.go._goreleaser import NAMES, Target, read

__all__ = ["Project", "go_version", "inspect", "targets", "version"]

_TOOLCHAIN = re.compile(r"^\s*toolchain\s+go(?P<version>\d+\.\d+\S*)", re.MULTILINE)
_MINIMUM = (1, 21)  # the first Go to which a go line is the oldest that will do
_MODULE = re.compile(r'^\s*module\s+"?(?P<path>[^\s"]+)', re.MULTILINE)
_GO = re.compile(r"^\s*go\s+(?P<version>\d+\.\d+\S*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Project:
    """A Go module, or a workspace, in a source directory.

    `module` is the module's directory (`.` for the root), `vendored` whether its dependencies are
    in `vendor/` and nothing is to be downloaded, `path` the module's import path ("" for a
    workspace).
    """

    version: str
    module: str = "."
    vendored: bool = False
    path: str = ""


async def version(source: dagger.Directory, module: str = ".") -> str:
    """Read which Go `source` wants: `toolchain` line, else `go` line, of go.work or go.mod.

    The version is taken as it is written: who writes `go 1.26.0` gets 1.26.0, as with any Go from
    1.21 on, and `toolchain go1.26.8` says what to build with. A `go` line before 1.21 says which
    language the source is written in, and every later Go speaks it: that is Go 1.21.

    Raises:
        SourceError: there is no go.mod, or no version in it.
    """
    return (await inspect(source, module)).version


async def inspect(source: dagger.Directory, module: str = ".") -> Project:
    """Read what `source` says about itself. Three short queries at most.

    Raises:
        SourceError: there is no go.mod in `module`, or no version in it.
    """
    module = _clean(module)
    return await once(directory(source), f"go project in {module}", lambda: _read(source, module))


async def targets(
    source: dagger.Directory, file: str = "", values: Mapping[str, str] | None = None
) -> tuple[Target, ...]:
    """Read which binaries a source's `.goreleaser.yaml` names, for which platforms.

    Args:
        source: The repository.
        file: The configuration; by default the first of GoReleaser's own names.
        values: What its templates may name, such as `{"Version": "1.2.0"}`; stamps (`-X`) whose
            values are not given are left out.

    Raises:
        SourceError: there is none, or something in it that changes a build is not understood.
    """
    names = await directory(source).entries()
    found = file or next((name for name in NAMES if name in names), "")
    if not found:
        raise SourceError(f"the source has no GoReleaser configuration: {', '.join(NAMES)}")
    module = _MODULE.search(await source.file("go.mod").contents() if "go.mod" in names else "")
    project = module["path"].rpartition("/")[2] if module else "binary"
    return read(await source.file(found).contents(), project, values)


async def _read(source: dagger.Directory, module: str) -> Project:
    names = {name.rstrip("/") for name in await source.entries()}
    here = names if module == "." else await _entries(source, module)
    if "go.mod" not in here and not (module == "." and "go.work" in names):
        raise await _no_module(source, module)
    manifest = "go.work" if "go.work" in names else posixpath.join(module, "go.mod")
    text = await source.file(posixpath.normpath(manifest)).contents()
    where = "." if "go.work" in names else module
    vendored = "vendor" in (names if where == "." else here) and bool(
        await source.glob(posixpath.normpath(posixpath.join(where, "vendor", "modules.txt")))
    )
    path = found["path"] if (found := _MODULE.search(text)) else ""
    return Project(go_version(text, manifest), module, vendored, path)


def go_version(text: str, name: str = "go.mod") -> str:
    """Find the version in the text of a go.mod or go.work."""
    if found := _TOOLCHAIN.search(text):
        return found["version"].removesuffix("-auto")
    if found := _GO.search(text):
        major, minor = (int(number) for number in re.findall(r"\d+", found["version"])[:2])
        return found["version"] if (major, minor) >= _MINIMUM else "1.21"
    raise SourceError(
        f"{name} says no Go version; add one with `go mod edit -go=1.26`, or pass version="
    )


def _clean(module: str) -> str:
    cleaned = posixpath.normpath(given_text("module", module, "tools"))
    if cleaned.startswith(("/", "..")):
        raise UsageError(f"module is a directory inside of the source; got {module!r}")
    return cleaned


async def _entries(source: dagger.Directory, module: str) -> set[str]:
    try:
        return {name.rstrip("/") for name in await source.entries(path=module)}
    except dagger.QueryError as exc:
        raise SourceError(f"the source has no directory {module!r}: {exc}") from exc


async def _no_module(source: dagger.Directory, module: str) -> SourceError:
    found = sorted(posixpath.dirname(path) or "." for path in await source.glob("**/go.mod"))
    hint = (
        f"; there is one in: {', '.join(found[:10])}: pass module="
        if found
        else ("; nor is there one below: is this the right source directory?")
    )
    where = "at the root of the source" if module == "." else f"in {module}"
    return SourceError(f"no go.mod {where}{hint}")
