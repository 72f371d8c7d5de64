"""Resolution: who is asked, in which order, and what is said when nobody knows."""

import os
from dataclasses import replace

import pytest

from pipelines.engine.digest import digest_json
from pipelines.engine.errors import (
    ImageError,
    LockError,
    RegistryMissing,
    RegistryUnreachable,
    StoreError,
)
from pipelines.engine.images.info import Evidence, ImageInfo, Layer
from pipelines.engine.images.local import Images, chain_id
from pipelines.engine.images.reference import Reference, pinned_name
from pipelines.engine.images.resolve import Resolver, choice
from pipelines.engine.names.pins import Pins, emit

AMD = "linux/amd64"


class Offers:
    """A source that has some names, and counts how often it is asked."""

    def __init__(self, source, *names, evidence=()):
        self._names, self._source, self._evidence, self.asked = names, source, evidence, 0

    def names(self):
        return self._names

    def find(self, ref, platform):
        self.asked += 1
        if ref.name not in self._names:
            return None
        digest = digest_json([self._source, str(ref)])
        recipe = {"versions": {"part": "1"}}
        return ImageInfo(digest, str(ref), platform, {}, (), self._source, recipe, self._evidence)


class Registry:
    """A registry that has some names, or does not answer."""

    def __init__(self, *names, down=False):
        self._names, self._down, self.asked = names, down, []

    def find(self, ref, platform, *, quick=False):
        self.asked.append(quick)
        if self._down:
            raise RegistryUnreachable("no answer")
        if ref.name not in self._names:
            raise RegistryMissing("not found")
        digest = digest_json(["r", str(ref)])
        name = pinned_name(ref, ref.digest or digest)
        return ImageInfo(digest, name, platform, {}, (), "registry")


@pytest.fixture
def images(tmp_path):
    return Images(tmp_path / "images")


def test_a_pinned_reference_asks_nobody_again(images):
    packages = Offers("package", "golang")
    first = Resolver(images, packages, print).resolve("golang:1", AMD)
    assert Resolver(images, packages, print).resolve("library/golang:1", AMD) == first
    assert packages.asked == 1


def test_the_registry_comes_before_packages(images):
    found = Resolver(images, Offers("package", "a"), print, Registry("a")).resolve("a", AMD)
    assert found.source == "registry"


def test_what_a_registry_says_it_has_not_is_not_made_up(images):
    with pytest.raises(RegistryMissing, match="image a:latest: not found"):
        Resolver(images, Offers("package", "a"), print, Registry()).resolve("a", AMD)


def test_packages_answer_when_the_registry_does_not_and_it_is_asked_once(images):
    registry = Registry(down=True)
    found = Resolver(images, Offers("package", "a"), print, registry).resolve("a", AMD)
    assert (found.source, registry.asked) == ("package", [True])


def test_a_registry_that_was_silent_is_not_waited_for_again_at_once(images):
    registry = Registry(down=True)
    for _ in range(3):
        Resolver(images, Offers("package", "a"), print, registry).resolve("a", AMD)
    assert registry.asked == [True]


def test_why_neither_answers_is_told(images):
    class Refuses(Offers):
        def find(self, ref, platform):
            raise ImageError("not for this machine")

    with pytest.raises(ImageError, match=r"not for this machine\. Of the registry: no answer"):
        Resolver(images, Refuses("package"), print, Registry(down=True)).resolve("a", AMD)


def test_a_registry_alone_is_asked_with_patience(images):
    for packages, source in ((Offers("package"), "auto"), (Offers("package", "a"), "registry")):
        registry = Registry(down=True)
        with pytest.raises(RegistryUnreachable, match="image a:latest: no answer"):
            Resolver(images, packages, print, registry, source).resolve("a", AMD)
        assert registry.asked[-1] is False


def test_a_tag_of_a_registry_is_asked_for_in_every_session(images):
    registry = Registry("a")
    for _ in range(2):
        Resolver(images, Offers("package"), print, registry).resolve("a", AMD)
    assert len(registry.asked) == 2


def test_an_image_of_the_store_comes_first(images):
    info = replace(Offers("package", "a").find(Reference.parse("a"), AMD), source="archive")
    images.put(Reference.parse("a"), info)
    registry = Registry("a")
    assert Resolver(images, Offers("package", "a"), print, registry).resolve("a", AMD) == info
    assert registry.asked == []


def test_the_setting_registry_is_never_answered_by_a_package_image(images):
    packages = Offers("package", "a")
    Resolver(images, packages, print).resolve("a", AMD)
    with pytest.raises(ImageError, match="switched off"):
        Resolver(images, packages, print, source="registry").resolve("a", AMD)


def test_the_setting_packages_asks_no_registry(images):
    registry = Registry("a")
    found = Resolver(images, Offers("package", "a"), print, registry, "packages").resolve("a", AMD)
    assert (found.source, registry.asked) == ("package", [])


def test_a_package_image_warns_once_a_session(images):
    said = []
    resolver = Resolver(images, Offers("package", "a", "b"), said.append)
    for name in ("a", "a", "b"):
        resolver.resolve(name, AMD)
    assert len(said) == 1
    assert "a:latest is a package image (part 1)" in said[0]


def test_a_pin_falls_with_the_file_that_it_rests_on(images, tmp_path):
    proof = tmp_path / "go"
    proof.write_text("1")
    found = proof.stat()
    packages = Offers(
        "package", "a", evidence=(Evidence(str(proof), found.st_mtime_ns, found.st_size),)
    )
    for asked, change in (
        (1, lambda: None),
        (1, lambda: proof.write_text("22")),
        (2, proof.unlink),
    ):
        Resolver(images, packages, print).resolve("a", AMD)
        assert packages.asked == asked
        change()


def test_an_unknown_name_is_told_what_can_be_made(images):
    with pytest.raises(ImageError, match="can be made here: golang, busybox"):
        Resolver(images, Offers("package", "golang", "busybox"), print).resolve("nope", AMD)


@pytest.mark.parametrize("value", ["auto", "registry", "packages"])
def test_the_setting_is_read_from_the_environment(value):
    assert choice({"PIPELINES_IMAGES_SOURCE": value}) == value
    assert choice({}) == "auto"


def test_a_wrong_setting_is_refused():
    with pytest.raises(ImageError, match="auto, registry or packages"):
        choice({"PIPELINES_IMAGES_SOURCE": "docker"})


def test_an_image_survives_in_the_index(images):
    layer = Layer("sha256:" + "1" * 64, "sha256:" + "2" * 64, "x", 3)
    info = ImageInfo(digest_json(1), "a", AMD, {"os": "linux"}, (layer,), "archive")
    images.put(Reference.parse("a"), info)
    again = Images(images.root)
    assert again.lookup(Reference.parse("a"), AMD) == info
    assert again.by_digest(info.digest) == info
    assert again.lookup(Reference.parse(f"x@{info.digest}"), AMD) == info
    assert again.lookup(Reference.parse("a"), "linux/arm64") is None
    assert list(again.images()) == [info]
    again.forget(Reference.parse("a"), AMD)
    assert images.lookup(Reference.parse("a"), AMD) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"digest": 1}'])
def test_a_damaged_index_is_a_miss(images, damage):
    info = ImageInfo(digest_json(1), "a", AMD, {})
    images.put(Reference.parse("a"), info)
    for path in images.root.rglob("*.json"):
        path.write_bytes(damage)
    assert images.lookup(Reference.parse("a"), AMD) is None
    assert list(images.images()) == []


def test_an_index_that_can_not_be_written_says_so(images, tmp_path):
    images.root.write_text("in the way")
    with pytest.raises(StoreError, match="writing"):
        images.put(None, ImageInfo(digest_json(1), "a", AMD, {}))


def test_no_half_written_file_stays(images):
    images.put(None, ImageInfo(digest_json(1), "a", AMD, {}))
    assert all(n.endswith(".json") for n in os.listdir(images.root / "pins"))


def test_a_chain_is_named_by_all_below_it():
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert chain_id((one,)) == one
    assert len({chain_id((one, two)), chain_id((two, one)), one, two}) == 4


@pytest.fixture
def locked(tmp_path, images):
    """Resolve with a lock file of some rows; what was pinned is told in `told`."""

    def resolve(name, *rows, mode="use", registry=None, packages=None):
        path = tmp_path / "pipelines.lock"
        path.write_text(emit(rows))
        told = []
        pins = Pins(path, mode, told.append)
        resolver = Resolver(images, packages or Offers("package"), print, registry, pins=pins)
        return resolver.resolve(name, AMD), told

    return resolve


def moved(_ref=None):
    return "sha256:" + "7" * 64


def test_a_locked_tag_is_its_digest(locked):
    registry = Registry("a")
    found, told = locked("a", ("image", "a:latest", moved()), registry=registry)
    assert found.digest == digest_json(["r", f"a:latest@{moved()}"])
    assert len(told) == 1


def test_a_locked_run_demands_every_tag(locked):
    with pytest.raises(LockError, match=r"image a:latest is not in .*pipelines\.lock.*--locked"):
        locked("a", mode="locked", registry=Registry("a"))


def test_a_locked_run_takes_digests_as_they_are(locked):
    found, told = locked(f"a@{moved()}", mode="locked", registry=Registry("a"))
    assert (found.source, told) == ("registry", [])


def test_an_update_asks_whatever_is_locked(locked):
    row = ("image", "a:latest", moved())
    found, told = locked("a", row, mode="update", registry=Registry("a"))
    assert found.digest == digest_json(["r", "a:latest"])
    assert told[0][:2] == ("image", "a:latest")


def test_a_package_image_is_locked_by_its_recipe_and_platform(locked):
    packages = Offers("package", "a")
    found, [row] = locked("a", packages=packages)
    assert row == ("package-image", f"a:latest {AMD}", found.digest)
    assert locked("a", row, mode="locked", packages=packages)[0] == found


def test_a_package_image_that_can_not_be_made_any_more_is_told(locked):
    row = ("package-image", f"a:latest {AMD}", moved())
    with pytest.raises(LockError, match=r"locked to the package image sha256:7.*lock anew"):
        locked("a", row, packages=Offers("package", "a"))


def test_a_locked_digest_that_nobody_has_is_not_made_from_packages(locked):
    row = ("image", "a:latest", moved())
    with pytest.raises(RegistryUnreachable):
        locked("a", row, registry=Registry(down=True), packages=Offers("package", "a"))
