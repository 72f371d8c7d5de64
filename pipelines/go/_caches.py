"""Go's cache volumes.

Modules are the same for every target: one volume. The build cache of one target is of no use to
another (Go version, platform, cgo and the race detector are in every action's key), so each has a
volume of its own, which can be packed, moved and pruned by itself. Both are `shared`: the go
command locks what it must, a lock on the whole volume would put the matrix in a queue (`go help
cache`).
"""

from pipelines._cache import Cache
from pipelines._platform import Platform

__all__ = ["BUILD_PATH", "MODULES", "caches"]

MODULES = Cache("go-modules", "/go/pkg/mod")
BUILD_PATH = "/go/build-cache"


def caches(
    version: str, platform: Platform | None = None, *, cgo: bool = False, race: bool = False
) -> tuple[Cache, ...]:
    """Give the volumes of a target: modules, build cache."""
    target = str(platform).replace("/", "-") if platform else "native"
    classes = [*(["cgo"] if cgo and not race else []), *(["race"] if race else [])]
    return MODULES, Cache("-".join(["go-build", version, target, *classes]), BUILD_PATH)
