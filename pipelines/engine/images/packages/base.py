"""Package images: images assembled from what package registries and the host have.

Theory of operation
    `pin` decides the exact versions and says what the image will be (`Pin`): cheap, and its
    digest is a pure function of the recipe, so the same versions are the same image on every
    machine. `fill` makes the root filesystem, only when something has to run in it, and
    makes just what the recipe says or fails. Where a part comes from (a wheel, the host) is
    evidence and a label; it is not in the digest.

    An image may stand on another one (`Pin.base`): its recipe then holds the other's, each is
    a layer of its own, and images with a base in common have its layers in common. The upper
    ones are filled in a root filesystem that already shows what is below.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipelines.engine import machines
from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import Evidence, ImageInfo
from pipelines.engine.images.reference import Reference

__all__ = [
    "DEFAULT_PATH",
    "LABEL",
    "Package",
    "Packages",
    "Part",
    "Pin",
    "made_for",
    "stated",
]

LABEL = "io.pipelines.package-image"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Pin:
    """A decided package image.

    `versions` and `contents` (digests of parts whose version does not tell everything) are its
    identity together with the package's name and recipe number.
    """

    package: str
    recipe: int
    versions: Mapping[str, str]
    contents: Mapping[str, str]
    origins: Mapping[str, str]
    evidence: tuple[Evidence, ...] = ()
    env: Sequence[str] = ()
    workdir: str = ""
    command: tuple[str, ...] = ("/bin/sh",)
    entrypoint: tuple[str, ...] = ()
    base: "Pin | None" = None

    def info(self, ref: Reference, platform: str) -> ImageInfo:
        """Describe the image under the name that was asked for."""
        recipe, config = self.document(), self._config(platform)
        digest = _digest(recipe, platform)
        proof = tuple(dict.fromkeys(one for pin in self._stack() for one in pin.evidence))
        return ImageInfo(digest, str(ref), platform, config, (), "package", recipe, proof)

    def document(self) -> dict[str, Any]:
        """Give the recipe: all that the root filesystem depends on."""
        recipe: dict[str, Any] = {
            "package": self.package,
            "recipe": self.recipe,
            "versions": dict(self.versions),
            "contents": dict(self.contents),
        }
        return recipe if self.base is None else recipe | {"base": self.base.document()}

    def _stack(self) -> "Iterator[Pin]":
        if self.base is not None:
            yield from self.base._stack()  # noqa: SLF001 - of the same class
        yield self

    def _config(self, platform: str) -> dict[str, Any]:
        labels = {LABEL: self.package, f"{LABEL}.recipe": str(self.recipe)}
        for pin in self._stack():
            labels |= {f"{LABEL}.{part}.version": value for part, value in pin.versions.items()}
            labels |= {f"{LABEL}.{part}.source": value for part, value in pin.origins.items()}
        run: dict[str, Any] = {"Env": list(self.env), "Cmd": list(self.command), "Labels": labels}
        if self.entrypoint:
            run["Entrypoint"] = list(self.entrypoint)
        if self.workdir:
            run["WorkingDir"] = self.workdir
        system, architecture, *variant = platform.split("/")
        config: dict[str, Any] = {"architecture": architecture, "os": system, "config": run}
        if variant:
            config["variant"] = variant[0]
        return config | {"rootfs": {"type": "layers", "diff_ids": []}, "history": []}


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of a package image: its digest, and what makes it over those before it."""

    digest: Digest
    fill: Callable[[Path], None]


class Filler(Protocol):
    """Makes what recipes of some kinds say."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The recipes that it makes, by their `package`."""
        ...

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Make one layer of a pinned image.

        `into` is an empty directory, or for a recipe with a base the root filesystem below.

        Raises:
            ImageError: a part can not be had in the pinned version.
        """
        ...


class Package(Protocol):
    """One family of package images."""

    @property
    def foreign(self) -> bool:
        """Whether some are made for other machines than this one too."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The image names that it answers for."""
        ...

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide what a reference is.

        Raises:
            ImageError: the tag can not be given here; says what can, or what to install.
        """
        ...

    def example(self) -> str:
        """Show what can be asked for."""
        ...


class Packages:
    """The package images together, as one source of images."""

    def __init__(self, packages: Sequence[Package], fillers: Sequence[Filler]) -> None:
        self._packages = {name: package for package in packages for name in package.names}
        self._fillers = {kind: filler for filler in fillers for kind in filler.kinds}

    def names(self) -> tuple[str, ...]:
        """Give an example reference of every name."""
        return tuple(dict.fromkeys(filter(None, (p.example() for p in self._packages.values()))))

    def find(self, ref: Reference, platform: str) -> ImageInfo | None:
        """Pin a reference if its name is one of a package image."""
        package = None if ref.host else self._packages.get(ref.name)
        if package is None:
            return None
        if ref.digest is not None:
            raise ImageError(
                f"image {ref}: this digest is not known here, and a package image can not be "
                f"made from a digest; use {package.example()}"
            )
        if platform != machines.platform() and not package.foreign:
            raise ImageError(
                f"image {ref} for {platform}: this package image is made for this machine only "
                f"({machines.platform()}), and no registry answered for it"
            )
        return package.pin(ref, platform).info(ref, platform)

    def parts(self, info: ImageInfo) -> tuple[Part, ...]:
        """Give the layers of a pinned package image, lowest first.

        Raises:
            ImageError: this version has no such recipe.
        """
        recipes = [info.recipe]
        while (base := recipes[-1].get("base")) is not None:
            recipes.append(base)
        return tuple(self._part(info, recipe) for recipe in reversed(recipes))

    def _part(self, info: ImageInfo, recipe: Mapping[str, Any]) -> Part:
        name = str(recipe.get("package"))
        filler = self._fillers.get(name)
        if filler is None:
            raise ImageError(f"image {info.reference}: no recipe named {name!r} in this version")
        return Part(_digest(recipe, info.platform), partial(filler.fill, recipe))


def _digest(recipe: Mapping[str, Any], platform: str) -> Digest:
    return digest_json(["package image", dict(recipe), platform])


def made_for(recipe: Mapping[str, Any]) -> str:
    """Tell which platform a recipe is for: this machine's unless it says another."""
    return str(recipe["versions"].get("platform", machines.platform()))


def stated(platform: str) -> dict[str, str]:
    """Give what a recipe says of its platform: nothing if it is this machine's."""
    return {} if platform == machines.platform() else {"platform": platform}
