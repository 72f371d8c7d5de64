"""Go's cache volumes.

Modules are the same for every target: one volume. Build caches have nothing in common where one of
these differs, since it is in the key of every action (`cmd/go/internal/work`, `buildActionID`):

    Go's version · GOOS, GOARCH, variant · class: pure Go, cgo, zig (cgo by `zig cc`), race

so each combination has a volume of its own, which can be packed, moved and trimmed by itself. What
shares them shares one volume: projects, stages, `go build` of the platform that Go runs on with
`go test` and `go vet`, coverage with none (it rewrites the covered packages alone), stamps and tags
(the standard library is the same for all of these); -trimpath, though it is in every key, since few
turn it off. A name is

    go-build-<version>-<os>-<arch>[-<variant>][-cgo|-zig|-race][-<image>]

where the last part is for C that an image brings: what Go does not have in its keys is the headers
of the system, so nothing is shared between two images (`go help cache`). zig brings its own.

Both are `shared`: the go command locks what it must, a lock on the whole volume would put the
matrix in a queue (`go help cache`).
"""

from hashlib import sha256
from typing import Literal

from pipelines._cache import Cache
from pipelines._dagger import dagger
from pipelines._memo import once
from pipelines._platform import Platform

__all__ = ["BUILD_PATH", "MODULES", "Class", "caches", "native"]

MODULES = Cache("go-modules", "/go/pkg/mod")
BUILD_PATH = "/go/build-cache"

Class = Literal["", "cgo", "zig", "race"]


def caches(
    version: str,
    platform: Platform | None = None,
    *,
    cgo: bool = False,
    race: bool = False,
    compiler: Literal["", "zig"] = "",
    image: str = "",
) -> tuple[Cache, ...]:
    """Give the volumes of a target: modules, build cache.

    Without a platform it is what Go runs on, whatever that is: name it (`native`) to share the
    volume with builds for it. `image` is the id of an image of one's own.
    """
    kind: Class = "race" if race else (compiler or "cgo") if cgo else ""
    target = str(platform).replace("/", "-") if platform else "native"
    own = sha256(image.encode()).hexdigest()[:12] if image and kind in {"cgo", "race"} else ""
    name = "-".join(part for part in ("go-build", version, target, kind, own) if part)
    return MODULES, Cache(name, BUILD_PATH)


async def native(about: object, image: dagger.Container | None = None) -> Platform:
    """Ask which platform commands run on: the engine's, or that of an image. Once a connection."""

    async def ask() -> tuple[Platform, object]:
        found = image.platform() if image is not None else dagger.dag.default_platform()
        return _plain(str(await found)), image  # held, so that its id stays its own

    platform, _ = await once(about, f"go native platform {id(image)}", ask)
    return platform


def _plain(text: str) -> Platform:
    """Read a platform without the variant that Go assumes anyway (`linux/arm64/v8`)."""
    system, arch, *_ = text.split("/")
    return Platform(system, arch)
