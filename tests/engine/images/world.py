"""The parts that images need, over one directory: no mount, no sandbox, no session."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.digest import digest_bytes
from pipelines.engine.images.archive import Archives
from pipelines.engine.images.local import Images
from pipelines.engine.op import Archive, Edge, Rootfs, Scratch, Variant
from pipelines.engine.result import Ran
from pipelines.engine.run.archive import ArchiveRunner
from pipelines.engine.run.compose import Composer
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.snapshots.shelf import Shelf as StoreShelf
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.tree import Tree


class Shelf(StoreShelf):
    """The store's shelf, that counts; a view is a copy, so that no mount is needed."""

    def __init__(self, root: Path, active: Path) -> None:
        super().__init__(root, active)
        self.added = 0

    def add(self, fill, tree=None, known=None):
        self.added += 1
        return super().add(fill, tree, known)

    @contextmanager
    def view(self, layers):
        merged = self.active / f"view{self.added}"
        for layer in layers:
            shutil.copytree(self.root / layer / "fs", merged, symlinks=True, dirs_exist_ok=True)
        yield merged


class World:
    """The parts that archives need, over one directory."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.layout = Layout.open(root / "store")
        self.images = Images(self.layout.images)
        self.files = Files(self.layout, owners=os.geteuid() == 0)
        (root / "active").mkdir()
        self.shelf = Shelf(self.layout.snapshots, root / "active")
        self.archives = Archives(self.images, self.files)
        self.composer = Composer(self.images, self.shelf.root, self.files, self.images.local)
        self.runner = ArchiveRunner(self.composer, self.images, self.files)
        self.rootfs = RootfsRunner(self.images, self.shelf, packages=None, registries=None)

    def file(self, content: bytes) -> Tree:
        return Tree({"image.tar": self.files.write(content)})

    def layer(self, **files: str) -> str:
        return self.shelf.add(lambda at: [(at / n).write_text(t) for n, t in files.items()])

    def write(
        self,
        *roots,
        platforms=("linux/amd64",),
        compression="",
        media_types="",
        config="{}",
        base="",
        epoch=None,
    ):
        variants = tuple(
            Variant(Edge(Scratch(), str(n)), platform, config, base=base)
            for n, platform in enumerate(platforms)
        )
        op = Archive(variants, compression, media_types, epoch)
        return self.runner.run(op, [Named(str(n), root) for n, root in enumerate(roots)])

    def bytes(self, tree: Tree) -> bytes:
        return self.files.read(tree.file[1])

    def unpack(self, info):
        return self.rootfs.run(Rootfs(info.digest, info.platform))


def Named(name, root):
    nothing = digest_bytes(b"")
    return Ran({name: root}, 0, nothing, nothing, nothing)
