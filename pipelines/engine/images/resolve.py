"""Resolution: a reference becomes an image, pinned, by the first source that has it.

    local store -> registry -> package images

`images.source` says which of them count: "auto" all, "registry" no package images,
"packages" no registry. A package image that was pinned earlier counts as a package image,
not as the local store: turning the setting to "registry" must never be answered by one.

What a tag of a registry is, is asked once a session: it may have moved. Package images answer
when a registry does not: it is asked once, without patience, if there is such a package image,
and a registry that did not answer a few minutes ago is not waited for again.

What `pipelines.lock` says of a tag goes before all that: the tag is then as good as a digest.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError, LockError, RegistryError, RegistryUnreachable
from pipelines.engine.images.info import Evidence, ImageInfo, Registry, Source
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference, pinned_name
from pipelines.engine.names.pins import Pins

__all__ = ["Choice", "Resolver", "choice"]

Choice = Literal["auto", "registry", "packages"]


def choice(environ: Mapping[str, str]) -> Choice:
    """Read the `images.source` setting from `PIPELINES_IMAGES_SOURCE`; "auto" if unset.

    Raises:
        ImageError: the value is none of the three.
    """
    match environ.get("PIPELINES_IMAGES_SOURCE", "") or "auto":
        case "auto":
            return "auto"
        case "registry":
            return "registry"
        case "packages":
            return "packages"
        case other:
            raise ImageError(
                f"PIPELINES_IMAGES_SOURCE is {other!r}; it must be auto, registry or packages"
            )


class Resolver:
    """Resolves references; one per session, so that a package image warns once."""

    def __init__(
        self,
        images: Images,
        packages: Source,
        warn: Callable[[str], None],
        registry: Registry | None = None,
        source: Choice = "auto",
        *,
        pins: Pins | None = None,
    ) -> None:
        self._images = images
        self._packages = packages if source != "registry" else None
        self._registry = registry if source != "packages" else None
        self._pins = pins
        self._warn = warn
        self._warned = False

    def resolve(self, reference: str, platform: str) -> ImageInfo:
        """Pin a reference for a platform.

        Raises:
            ImageError: no source has it; says which names can be made here.
        """
        ref = Reference.parse(reference)
        if ref.digest is not None or self._pins is None:
            return self._resolve(ref, platform)
        made = f"{ref} {platform}"
        if locked := self._pins.find("image", str(ref)):
            found = self._resolve(replace(ref, digest=_locked(ref, locked)), platform)
        elif locked := self._pins.find("package-image", made):
            found = self._remade(ref, platform, locked)
        else:
            self._pins.demand("image", str(ref))
            found = self._resolve(ref, platform)
        if found.source == "package":
            self._pins.made("package-image", made, found.digest)
        elif found.source == "registry":
            pinned = Reference.parse(found.reference).digest
            self._pins.made("image", str(ref), str(pinned))
        return found

    def _remade(self, ref: Reference, platform: str, locked: str) -> ImageInfo:
        """Give the package image that a name is locked to, made again if it can be."""
        digest = _locked(ref, locked)
        found = self._images.by_digest(digest)
        if found is None and self._packages is not None:
            found = self._made(ref, platform, None)
        if found is None or found.digest != digest:
            seen = f"what can be made here now is {found.digest}" if found else "it is switched off"
            raise LockError(
                f"image {ref}: locked to the package image {digest}, and {seen}; lock anew with "
                "`pipelines lock STAGE…`"
            )
        self._announce(found)
        return found

    def _resolve(self, ref: Reference, platform: str) -> ImageInfo:
        known = self._known(ref, platform)
        if known is not None and known.source != "package":
            named = known.source == "registry" and ref.digest is not None
            return known.named(pinned_name(ref, known.digest)) if named else known
        if self._registry is not None:
            try:
                return self._pulled(self._registry, ref, platform, known)
            except RegistryError as exc:
                exc.args = (f"image {ref}: {exc}",)
                raise
        if (found := self._made(ref, platform, known)) is not None:
            return found
        raise ImageError(self._nothing(ref, platform))

    def _pulled(
        self, registry: Registry, ref: Reference, platform: str, known: ImageInfo | None
    ) -> ImageInfo:
        """Ask the registry; package images answer when it does not."""
        if self._packages is None or ref.digest is not None:
            return registry.find(ref, platform)
        silent = known is not None and self._images.silent(ref.host, time.time())
        away = "it did not answer a few minutes ago"
        if not silent:
            try:
                return registry.find(ref, platform, quick=True)
            except RegistryUnreachable as exc:
                away = str(exc)
        try:
            made = self._made(ref, platform, known)
        except ImageError as exc:
            exc.args = (f"{exc}. Of the registry: {away}",)
            raise
        if made is not None:
            if not silent:
                self._images.put_silent(ref.host, time.time())
            return made
        return registry.find(ref, platform)

    def _made(self, ref: Reference, platform: str, known: ImageInfo | None) -> ImageInfo | None:
        """Give the package image of a name, if there is one."""
        if self._packages is None:
            return None
        found = known or self._packages.find(ref, platform)
        if found is not None:
            if known is None:
                self._images.put(ref, found)
            self._announce(found)
        return found

    def _known(self, ref: Reference, platform: str) -> ImageInfo | None:
        info = self._images.lookup(ref, platform)
        return info if info is not None and all(map(_stands, info.evidence)) else None

    def _announce(self, info: ImageInfo) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"{info.reference} is a package image ({_made_of(info)}), "
                "not the registry's image of that name; set PIPELINES_IMAGES_SOURCE to choose"
            )

    def _nothing(self, ref: Reference, platform: str) -> str:
        names = ", ".join(self._packages.names()) if self._packages is not None else ""
        made = f"what can be made here: {names}" if names else "package images are switched off"
        return f"image {ref} for {platform}: not in the local store; {made}"


def _locked(ref: Reference, value: str) -> Digest:
    try:
        return Digest.parse(value)
    except ValueError as exc:
        raise LockError(f"image {ref}: pipelines.lock has {value!r}, which is no digest") from exc


def _stands(evidence: Evidence) -> bool:
    try:
        found = os.stat(evidence.path)
    except OSError:
        return False
    return (found.st_mtime_ns, found.st_size) == (evidence.mtime_ns, evidence.size)


def _made_of(info: ImageInfo) -> str:
    return ", ".join(f"{key} {value}" for key, value in info.recipe.get("versions", {}).items())
