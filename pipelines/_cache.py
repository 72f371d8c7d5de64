"""Cache volumes, spelled one way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipelines._dagger import dagger

__all__ = ["Cache", "mount"]


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache volume and where it is mounted.

    The volume is found by `key` alone. Its contents never enter a cache key, so a command must get
    the same result from an empty one. `shared` lets commands use it at once, `locked` one after the
    other, `private` gives each its own.
    """

    key: str
    path: str
    sharing: Literal["shared", "locked", "private"] = "shared"


def mount(*caches: Cache) -> Callable[[dagger.Container], dagger.Container]:
    """Return a function for `Container.with_` that mounts `caches`.

    container.with_(mount(Cache("go-mod", "/go/pkg/mod")))
    """

    def mounted(container: dagger.Container) -> dagger.Container:
        for cache in caches:
            container = container.with_mounted_cache(
                cache.path,
                dagger.dag.cache_volume(cache.key),
                sharing=dagger.CacheSharingMode[cache.sharing.upper()],
            )
        return container

    return mounted
