"""Package images as stacks of layers: what is made, what is shared, what is made again."""

from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.local import Images
from pipelines.engine.op import Rootfs
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.snapshots.copy import Copy


@dataclass
class Layered:
    """Fills each part with a file of its name, and tells what it saw below."""

    made: list[str]

    def parts(self, info):
        return [Part(name, self) for name in info.recipe["parts"]]


class Part:
    def __init__(self, name, maker):
        self.name, self.maker = name, maker

    @property
    def digest(self) -> Digest:
        return digest_json(["part", self.name])

    def fill(self, into: Path) -> None:
        self.maker.made.append(f"{self.name} over {sorted(p.name for p in into.iterdir())}")
        if self.name == "broken":
            (into / "half").write_text("")
            raise ImageError("broken")
        if self.name != "nothing":
            (into / self.name).write_text(self.name)


class World:
    def __init__(self, top: Path) -> None:
        for name in ("layers", "active"):
            (top / name).mkdir()
        self.images, self.snapshots = Images(top / "images"), Copy(top / "layers", top / "active")
        self.packages = Layered([])
        self.runner = RootfsRunner(self.images, self.snapshots, self.packages, registries=None)

    def run(self, *parts: str) -> tuple[str, ...]:
        digest = digest_json(list(parts))
        recipe = {"parts": list(parts)}
        info = ImageInfo(digest, "x", "linux/amd64", {}, (), "package", recipe)
        self.images.put(None, info)
        return self.runner.run(Rootfs(digest, "x")).layers

    def shown(self, layers: tuple[str, ...]) -> list[str]:
        with self.snapshots.view(layers) as root:
            return sorted(path.name for path in root.iterdir())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_each_part_is_a_layer_made_over_those_below(world):
    layers = world.run("base", "tools", "go")
    assert world.shown(layers) == ["base", "go", "tools"]
    assert [world.shown((layer,)) for layer in layers] == [["base"], ["tools"], ["go"]]
    assert world.packages.made == [
        "base over []",
        "tools over ['base']",
        "go over ['base', 'tools']",
    ]


def test_parts_in_common_are_made_once(world):
    first, second = world.run("base", "tools", "go"), world.run("base", "tools", "node")
    assert first[:2] == second[:2]
    assert [made.split()[0] for made in world.packages.made] == ["base", "tools", "go", "node"]


def test_a_part_over_another_base_is_another_layer(world):
    world.run("base", "go")
    world.run("slim", "go")
    assert world.packages.made[-1] == "go over ['slim']"


def test_a_part_that_is_gone_is_made_again(world):
    layers = world.run("base", "go")
    world.snapshots.remove(layers[0])
    assert world.run("base", "go") == layers
    assert [made.split()[0] for made in world.packages.made] == ["base", "go", "base"]


def test_a_part_that_fails_leaves_nothing_and_is_tried_again(world, tmp_path):
    for _ in range(2):
        with pytest.raises(ImageError, match="broken"):
            world.run("base", "broken")
    assert len(list((tmp_path / "layers").iterdir())) == 1
    assert world.packages.made[1:] == ["broken over ['base']"] * 2


def test_a_part_that_changes_nothing_is_an_error(world):
    with pytest.raises(ImageError, match="changed nothing"):
        world.run("base", "nothing")


def test_two_images_at_once_make_the_base_once(world):
    threads = [Thread(target=world.run, args=("base", name)) for name in ("go", "node")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made.split()[0] for made in sorted(world.packages.made)] == ["base", "go", "node"]
