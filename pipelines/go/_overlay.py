"""Making Go vet a package again when a file changes that it looks at and does not count.

Theory of operation
    What `go vet` found of a package is kept by what the package compiles. The files for other
    targets are looked at too, for lines that look like constraints (`_directives`), and are not in
    that key: with a warm cache a misplaced `//go:build` in `x_windows.go` passes, with an empty
    one it fails. A package where such a line may be refused gets a header file that no file
    includes and that says what those files are. It is in the key of whatever Go makes of the
    package, and in nothing that it makes: the package is compiled and vetted again, what comes of
    it is what it was, and neither what imports it nor its tests run for it.

    Go's index of packages does not count there: by it Go refuses a package for two constraints in a
    file for another target, but only once every file is older than two seconds, and no result may
    follow from that. So the header has a time that is still to come.

    The header is in an overlay, so that no program and no test sees it. Packages without such a
    line, which are nearly all, are run as ever.

    Packages are not linted by Go's cache but by golangci-lint's own, which is as blind. It gets
    another cache for other files.
"""

import hashlib
import json
import posixpath
from collections.abc import Sequence

from pipelines._dagger import dagger
from pipelines._memo import once
from pipelines.go._closure import Inputs
from pipelines.go._env import WORKDIR

__all__ = ["digest_of", "overlaid"]

_PLACE = "/pipelines/ignored"
_HEADER = "zz_pipelines_ignored.h"
_TO_COME = 2**31 - 1  # 2038-01-19, the last time that Dagger takes


async def overlaid(
    container: dagger.Container, source: dagger.Directory, found: Inputs, flags: Sequence[str] = ()
) -> dagger.Container:
    """Give a container whose Go counts what it looks at; `flags` are those of its command."""
    given = ["-count=1"] if found.beyond else []
    if not found.ignored:
        return _with_flags(container, given)
    if any(flag.replace("--", "-", 1).startswith("-overlay") for flag in flags):
        return _with_flags(container, [*given, "-a"])  # there can be one overlay only
    files = dagger.dag.directory()
    replaced = {}
    for number, (directory, digest) in enumerate((await _digests(source, found)).items()):
        files = files.with_new_file(f"{number}.h", f"/* {digest} */\n")
        header = posixpath.normpath(posixpath.join(WORKDIR, directory, _HEADER))
        replaced[header] = f"{_PLACE}/{number}.h"
    files = files.with_new_file("overlay.json", json.dumps({"Replace": replaced}))
    container = container.with_mounted_directory(_PLACE, files.with_timestamps(_TO_COME))
    return _with_flags(container, [*given, f"-overlay={_PLACE}/overlay.json"])


async def digest_of(source: dagger.Directory, found: Inputs) -> str:
    """Digest the files that are looked at and do not count; "" if there are none."""
    if not found.ignored:
        return ""
    digests = await _digests(source, found)
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def _with_flags(container: dagger.Container, flags: Sequence[str]) -> dagger.Container:
    return container.with_env_variable("GOFLAGS", " ".join(flags)) if flags else container


async def _digests(source: dagger.Directory, found: Inputs) -> dict[str, str]:
    """Digest what each package has of them, names and contents."""
    packages: dict[str, list[str]] = {}
    for path in found.ignored:
        packages.setdefault(posixpath.dirname(path), []).append(path)
    return {
        directory: await once(source, f"go ignored {paths}", source.filter(include=paths).digest)
        for directory, paths in packages.items()
    }
