"""The composition root: where the parts of the engine meet, and nowhere else.

    api → solver → run → snapshots · sandbox · images · sources → store

What most sessions do not need (package images, images that leave) is imported when it is first
asked for: a session's start is in the way of every run.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.from_thread import check_cancelled

from pipelines.engine.digest import digest_json
from pipelines.engine.events import Events
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registries import Registries
from pipelines.engine.images.resolve import Resolver, choice
from pipelines.engine.images.tarread import limits
from pipelines.engine.names import pins
from pipelines.engine.result import Snapshot
from pipelines.engine.run.export import export_tree
from pipelines.engine.run.history import History
from pipelines.engine.run.nesting import Doors
from pipelines.engine.run.outgoing import Outgoing
from pipelines.engine.run.rooms import Rooms
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.table import Run
from pipelines.engine.run.trees import Trees
from pipelines.engine.sandbox import binary
from pipelines.engine.sandbox.bwrap import Bubblewrap
from pipelines.engine.sandbox.namespace import Mode
from pipelines.engine.snapshots.base import Snapshots
from pipelines.engine.snapshots.kernel import mount, umount
from pipelines.engine.snapshots.probe import choose
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.locks import Locks
from pipelines.engine.store.portraits import Portraits
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes
from pipelines.engine.tree import Tree
from pipelines.engine.wiring import ground
from pipelines.engine.wiring.link import Links, link
from pipelines.engine.wiring.world import World

if TYPE_CHECKING:
    from pipelines.engine.images.packages import Packages, Part
    from pipelines.engine.travel.travel import Travel

__all__ = ["Parts", "Settings", "assemble"]

_MNT_DETACH = 2
_SECRET_FLAGS = 0x2 | 0x4 | 0x8  # nosuid, nodev, noexec


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session runs; `events` is a file descriptor or None, `jobs` commands at once.

    `doors` let commands in that ask for a session, `insecure` lets some have every capability.
    `lock` says what `pipelines.lock` in the working directory is good for: see `pins`. `trust`
    says whether what is cached counts: see `caching`.
    """

    workdir: str
    jobs: int
    mode: Mode
    events: int | None = None
    lock: pins.Mode = "use"
    trust: Literal["use", "verify", "off"] = "use"
    doors: Doors | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What is put together for one session."""

    layout: Layout
    blobs: Blobs
    files: Files
    records: Records
    locks: Locks
    volumes: Volumes
    snapshots: Snapshots
    images: Images
    pins: pins.Pins
    registries: Registries
    resolver: Resolver
    run: Run
    seeds: Seeds
    outgoing: Outgoing
    world: World
    links: Links
    travel: "Travel | None"


class PackageImages:
    """The package images, put together when the first is asked for: most sessions need none."""

    def __init__(self, environ: Mapping[str, str], root: Path, *, single: bool) -> None:
        self._environ = environ
        self._root = root
        self._single = single

    @cached_property
    def _all(self) -> "Packages":
        from pipelines.engine.images.packages import catalog
        from pipelines.engine.sandbox import apart

        prefix = apart.prefix(single=self._single)
        return catalog(self._environ, self._root, prefix, single=self._single, alive=_alive)

    def find(self, ref: Reference, platform: str) -> ImageInfo | None:
        """Pin a reference if its name is one of a package image."""
        return self._all.find(ref, platform)

    def names(self) -> tuple[str, ...]:
        """Give an example of every name."""
        return self._all.names()

    def parts(self, info: ImageInfo) -> "Sequence[Part]":
        """Give the layers of a package image."""
        return self._all.parts(info)


def assemble(
    layout: Layout, lease: Lease, settings: Settings, environ: Mapping[str, str], stack: ExitStack
) -> Parts:
    """Wire the parts; what needs closing goes on the stack."""
    events, blobs = Events(settings.events), Blobs(layout)
    files = Files(layout, owners=settings.mode != "single")
    snapshots = _snapshots(layout, lease, events, stack)
    (records, locks), images = _records(layout, snapshots, stack), _images(layout, environ)
    packages = PackageImages(environ, layout.images, single=not files.owners)
    lock = pins.Pins(Path(settings.workdir, pins.NAME), settings.lock, events.pin)
    registries, resolver = _resolver(images, packages, environ, events, lock)
    trees, volumes = _trees(layout, files, snapshots, records), _volumes(layout, lease, settings)
    sandbox = _sandbox(settings, environ, stack)
    outgoing = Outgoing(images, layout.snapshots, files, registries, _alive)
    rooms = _rooms(snapshots, trees, lease.path, environ, stack)
    travel = _travelling(settings, environ, layout, lease, records, images, files, volumes, events)
    seeds, at = Seeds(volumes, volumes.has, _copier(files)), lease.path / "session"
    links = link(rooms, sandbox, seeds, events, trees.numbers, environ, settings.doors)
    reach = links.serving.reach
    world = World(layout, files, at, environ, group=sandbox.group, pins=lock, reach=reach)
    stack.callback(world.close)
    run = Run(
        links.execs(blobs, anyio.Semaphore(2 * settings.jobs + 2)),
        RootfsRunner(images, snapshots, packages, registries, _alive),
        outgoing.archive,
        trees,
        seeds,
        events,
        layout.stat,
        files.origin,
        world,
        _history(layout, travel, events, volumes, records),
        travel,
    )
    if travel is not None:
        files.elsewhere, files.times = travel.content, travel.times
        seeds.travelling = travel.volumes
        travel.begin()
    return Parts(
        layout, blobs, files, records, locks, volumes, snapshots, images, lock, registries,
        resolver, run, seeds, outgoing, world, links, travel,
    )  # fmt: skip


def _history(
    layout: Layout, travel: "Travel | None", events: Events, volumes: Volumes, records: Records
) -> History:
    kept = travel.portraits if travel else Portraits(layout.root)
    return History(kept, events, volumes.has, records.last_used)


def _travelling(  # noqa: PLR0917 - the parts of the store
    settings: Settings,
    environ: Mapping[str, str],
    layout: Layout,
    lease: Lease,
    records: Records,
    images: Images,
    files: Files,
    volumes: Volumes,
    events: Events,
) -> "Travel | None":
    """Put the travelling caches together, if any are configured: most projects have none."""
    from pipelines.engine.travel import opening

    if settings.trust == "off" or not opening.mentioned(Path(settings.workdir), environ):
        return None
    from pipelines.engine.travel.stores import Stores

    stores = Stores(
        layout, lease.path, Blobs(layout), files, records, volumes, images.layers, events.hidden,
        Portraits(layout.root),
    )  # fmt: skip
    return opening.travel(Path(settings.workdir), environ, stores, events)


def _sandbox(settings: Settings, environ: Mapping[str, str], stack: ExitStack) -> Bubblewrap:
    sandbox = Bubblewrap(binary.find(environ.get("PATH")), settings.mode)
    stack.callback(sandbox.close)
    return sandbox


def _resolver(
    images: Images,
    packages: PackageImages,
    environ: Mapping[str, str],
    events: Events,
    lock: pins.Pins,
) -> tuple[Registries, Resolver]:
    registries = Registries(environ, images, events.warning, _alive)
    which = choice(environ)
    return registries, Resolver(images, packages, events.warning, registries, which, pins=lock)


def _snapshots(layout: Layout, lease: Lease, events: Events, stack: ExitStack) -> Snapshots:
    snapshots, why = choose(layout.snapshots, lease.path)
    if why:
        events.warning(f"overlayfs cannot be used here ({why}): files are copied, which is slower")
    stack.callback(snapshots.close)
    return snapshots


def _images(layout: Layout, environ: Mapping[str, str]) -> Images:
    return Images(layout.images, limits(environ))


def _records(layout: Layout, snapshots: Snapshots, stack: ExitStack) -> tuple[Records, Locks]:
    records, locks = Records(layout, snapshots.exists), Locks(layout)
    stack.callback(records.close)
    stack.callback(locks.close)
    return records, locks


def _volumes(layout: Layout, lease: Lease, settings: Settings) -> Volumes:
    """Give the store's cache volumes; where nothing cached counts, empty ones of this session."""
    owners = settings.mode != "single"
    if settings.trust == "use":
        return Volumes(layout, owners=owners)
    apart = Layout(lease.path / "apart")
    for directory in (apart.volumes, apart.trash):
        directory.mkdir(parents=True)
    return Volumes(apart, owners=owners)


def _alive() -> None:
    """Raise in a worker whose caller has left; threads that a worker started have no caller."""
    with suppress(RuntimeError):
        check_cancelled()


def _rooms(
    snapshots: Snapshots, trees: Trees, active: Path, environ: Mapping[str, str], stack: ExitStack
) -> Rooms:
    """Lay the ground and mount the tmpfs that secrets live on while a command runs."""
    session = active / "session"
    memory = session / "memory"
    memory.mkdir(parents=True, mode=0o700)
    mount("tmpfs", str(memory), "tmpfs", _SECRET_FLAGS, "mode=0700")
    stack.callback(umount, str(memory), _MNT_DETACH)
    host = ground.lent(environ, Path.home())
    laid = ground.lay(session / "ground", host.ca_bundle)
    return Rooms(snapshots, trees, host, laid, session, memory)


def _trees(layout: Layout, files: Files, snapshots: Snapshots, records: Records) -> Trees:
    """Wire the tree runner; layers made from trees are remembered like any other result."""

    def recall(name: str) -> str | None:
        found = records.get(digest_json(["layer", name]))
        return found.layers[0] if isinstance(found, Snapshot) else None

    def record(name: str, layer: str) -> None:
        records.put([digest_json(["layer", name])], Snapshot((layer,)), "layer")

    return Trees(files, snapshots, layout.snapshots, recall=recall, record=record)


def _copier(files: Files) -> Callable[[Tree, Path], None]:
    def copy(tree: Tree, into: Path) -> None:
        export_tree(tree, files, into)

    return copy
