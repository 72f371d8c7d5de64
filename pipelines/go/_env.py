"""Go's environment: the layers below every command."""

import os
import posixpath
from typing import Literal

import anyio

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines._errors import InfrastructureError
from pipelines._given import container as taken_container
from pipelines._given import text
from pipelines._memo import once
from pipelines._platform import Platform
from pipelines.go._caches import BUILD_PATH, MODULES, caches, native
from pipelines.go._diagnosis import explained, without_release
from pipelines.go._inputs import NOT_SOURCE, WHOLE, narrowed
from pipelines.go._kept import with_script
from pipelines.go._project import Project, inspect
from pipelines.go._target import environment
from pipelines.go._zig import Zig, chosen, equipped

__all__ = ["WORKDIR", "base", "env", "lent", "prepared"]

WORKDIR = "/src"
NETRC = "/root/.netrc"
TELEMETRY = "/root/.config/go/telemetry/mode"
PAUSES = (1.0, 3.0)  # seconds between tries of a download

# Manifests of every module: `replace` and go.work reach into nested ones.
MANIFESTS = ["go.work", "go.work.sum", "**/go.mod", "**/go.sum"]

# Where modules come from; go.sum says what they must be. So these never enter a key.
PROXIES = ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE")


def base(version: str, *, image: dagger.Container | None = None) -> dagger.Container:
    """Give a container with Go `version` and its module cache; `image` replaces the stock image.

    `GOTOOLCHAIN=local`: the Go in the container is the Go that is used, nothing is downloaded in
    its place. `GOFLAGS` is cleared, so that an image can not change what a command means. Go's
    counters of its own use are off: they would be in every command's layer, and differ each time.
    """
    stock = taken_container("image", image)
    container = stock or dagger.dag.container().from_(f"golang:{version}")
    return (
        container.with_env_variable("GOTOOLCHAIN", "local")
        .with_env_variable("GOFLAGS", "")
        .with_env_variable("GOMODCACHE", MODULES.path)
        .with_env_variable("GOCACHE", BUILD_PATH)
        .with_new_file(TELEMETRY, "off")
        .with_(mount(MODULES))
        .with_workdir(WORKDIR)
    )


async def env(
    source: dagger.Directory,
    platform: Platform | None = None,
    *,
    version: str = "",
    module: str = ".",
    image: dagger.Container | None = None,
    cgo: bool | Literal["zig"] | Zig = False,
    race: bool = False,
    goprivate: str = "",
    netrc: dagger.Secret | None = None,
    proxy: dagger.Service | None = None,
    inputs: dagger.Directory | None = None,
) -> dagger.Container:
    """Give a container with `source` at /src, its modules, and Go set up.

    Args:
        source: The repository, or the part of it that Go needs. Its `.git` is left out.
        platform: What to build for; by default what Go runs on.
        version: Go's version; by default what go.mod says (`go.version`).
        module: The directory of the module to work in, where the source has several.
        image: A container with Go in it, instead of the stock image.
        cgo: Whether C is compiled too, by the image's compiler for the platform; "zig", or a
            `go.Zig` that says how, brings one for every platform.
        race: Whether the race detector is on; needs cgo.
        goprivate: Patterns of private modules, as in `GOPRIVATE`.
        netrc: Credentials for private modules, mounted as a secret.
        proxy: A service that is a proxy of modules, on port 80; what it lacks comes directly.
        inputs: The part of the source to mount; by default all of it.
    """
    project = await inspect(source, module)
    version = text("version", version, "1.26") or project.version

    async def ask() -> tuple[dagger.Container, object]:
        common = _private(base(version, image=image), goprivate, netrc, proxy)
        # What the question names by id is held, so that the ids stay theirs.
        return await _downloaded(prepared(common, source, project)), (image, netrc, proxy)

    named = f"{id(image)} {id(netrc)} {id(proxy)}"
    container, _ = await once(source, f"go env {version} {module} {goprivate} {named}", ask)
    mounted = inputs or await narrowed(source, WHOLE, ())
    container = container.with_mounted_directory(WORKDIR, mounted)
    target = platform or await native(source, image)
    for name, value in environment(platform, cgo=bool(cgo) or race).items():
        container = container.with_env_variable(name, value)
    of = await _id(source, image) if cgo or race else ""
    container = container.with_(mount(_build_cache(version, target, cgo, race=race, image=of)))
    zig = chosen(cgo)
    return container if zig is None else await equipped(container, source, zig, target)


async def _downloaded(container: dagger.Container) -> dagger.Container:
    """Force a download; one that the network broke is tried again."""
    for pause in (*PAUSES, None):
        try:
            with explained():
                return await container.sync()
        except InfrastructureError:
            if pause is None:
                raise
            await anyio.sleep(pause)
        except dagger.QueryError as failed:
            if (error := without_release(failed)) is not None:
                raise error from failed
            raise
    raise AssertionError("a loop that returns or raises")


def _build_cache(
    version: str, target: Platform, cgo: bool | Literal["zig"] | Zig, *, race: bool, image: str
) -> Cache:
    kind: Literal["", "zig"] = "zig" if chosen(cgo) else ""
    return caches(version, target, cgo=bool(cgo), race=race, compiler=kind, image=image)[1]


async def _id(source: dagger.Directory, image: dagger.Container | None) -> str:
    if image is None:
        return ""
    return str(await once(source, f"id of {id(image)}", image.id))


def _private(
    container: dagger.Container,
    goprivate: str,
    netrc: dagger.Secret | None,
    proxy: dagger.Service | None,
) -> dagger.Container:
    """Say where modules come from, and with which credentials."""
    if goprivate:
        container = container.with_env_variable("GOPRIVATE", goprivate)
    container = lent(container)
    if proxy is not None:
        bound = container.with_service_binding("goproxy", proxy)
        container = bound.with_volatile_variable("GOPROXY", "http://goproxy,direct")
    if netrc is not None:
        mounted = container.with_mounted_secret(NETRC, netrc)
        container = mounted.with_env_variable("NETRC", NETRC)
    return container


def lent(container: dagger.Container) -> dagger.Container:
    """Pass on where this machine takes modules from; it is in no key."""
    for name in PROXIES:
        if value := os.environ.get(name):
            container = container.with_volatile_variable(name, value)
    return container


def prepared(
    container: dagger.Container, source: dagger.Directory, project: Project
) -> dagger.Container:
    """Download modules, by the manifests alone.

    The download only warms a volume. If the volume is emptied later, the download is still cached
    and does not run again: `go build` then fetches what it misses by itself.
    """
    workdir = posixpath.normpath(posixpath.join(WORKDIR, project.module))
    container = with_script(container.with_workdir(workdir))
    if project.vendored:
        return container
    manifests = source.filter(include=MANIFESTS, exclude=NOT_SOURCE)
    container = container.with_mounted_directory(WORKDIR, manifests)
    return container.with_exec(["go", "mod", "download"])
