"""Read images out of archives: OCI layouts and `docker save`, plain or compressed.

The archive is read once, front to back: every file in it becomes a blob under its own
digest, so a blob that is not what its name says is simply not found. Which blobs matter is
decided afterwards; layers are unpacked only when the image's root filesystem is needed.

Source: OCI image-spec image-layout.md; moby image/spec/v1.2.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from pipelines.engine.digest import Digest, digest_bytes
from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images
from pipelines.engine.images.model import (
    DOCKER,
    OCI,
    Descriptor,
    Index,
    Manifest,
    diff_ids,
    load,
    matches_platform,
    platform_of,
)
from pipelines.engine.images.nodes import components
from pipelines.engine.images.tarread import TarReader
from pipelines.engine.tree import Entry, Tree

__all__ = ["Archives", "Opens"]

_INDEXES = frozenset((OCI.index, DOCKER.index))
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


class Opens(Protocol):
    """Gives the bytes of files in trees."""

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file for reading; it can seek."""
        ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds: the digest and size of every file by its path."""

    files: dict[str, tuple[Digest, int]]
    name: str

    def blob(self, found: Descriptor) -> Digest:
        """Check that the archive really has what a descriptor names."""
        if (found.digest, found.size) not in self.files.values():
            raise ImageError(
                f"{self.name}: the blob {found.digest} of {found.size} bytes is missing or damaged"
            )
        return found.digest


class Archives:
    """Puts the images of archives into the local index."""

    def __init__(self, images: Images, files: Opens) -> None:
        self._images = images
        self._files = files

    def load(self, tree: Tree, tag: str, platform: str) -> ImageInfo:
        """Import an image; `tree` is the archive as a single file.

        Args:
            tree: a file tree.
            tag: which image, if the archive has several; "" for the only one.
            platform: which of several platforms.

        Raises:
            ImageError: no image archive, damaged, or without such an image; says what it has.
        """
        name, entry = tree.file
        with self._files.open(entry) as file:
            contents = self._read(file, name)
        if "index.json" in contents.files:
            info = self._layout(contents, tag, platform)
        elif "manifest.json" in contents.files:
            info = self._saved(contents, tag, platform)
        else:
            raise ImageError(
                f"{name} is not an image archive: it has neither index.json (OCI layout) nor "
                "manifest.json (docker save)"
            )
        self._images.put(None, info)
        return info

    def _read(self, file: BinaryIO, name: str) -> Contents:
        files: dict[str, tuple[Digest, int]] = {}
        links: dict[str, str] = {}
        reader = TarReader(decompressing(file), self._images.limits)
        for member in reader:
            path = "/".join(p.decode("utf-8", "replace") for p in components(member.name))
            if member.kind == "file":
                with self._images.blobs.writer() as new:
                    for piece in reader.content():
                        new.write(piece)
                files[path] = (new.digest, new.size)
            elif member.kind in {"symlink", "hardlink"}:
                links[path] = _target(path, member.target.decode("utf-8", "replace"), member.kind)
        files |= {path: files[target] for path, target in links.items() if target in files}
        return Contents(files, name)

    # --- OCI layouts ----------------------------------------------------------------------

    def _layout(self, contents: Contents, tag: str, platform: str) -> ImageInfo:
        index = Index.parse(self._document(contents, "index.json"))
        named = _tagged(index.manifests, tag, contents.name)
        images = list(self._images_of(contents, named))
        for found, manifest, config in images:
            if matches_platform(found.platform or platform_of(config), platform):
                layers = _layers(contents, manifest.layers, config)
                spelled = platform_of(config)
                return ImageInfo(found.digest, contents.name, spelled, config, layers, "archive")
        have = ", ".join(sorted({f.platform or platform_of(c) for f, _, c in images})) or "none"
        raise ImageError(f"{contents.name}: no image for {platform}; it has {have}")

    def _images_of(
        self, contents: Contents, found: tuple[Descriptor, ...], depth: int = 0
    ) -> Iterator[tuple[Descriptor, Manifest, dict[str, Any]]]:
        """Walk indexes down to manifests; what is no image (attestations) is left out."""
        for each in found:
            row = load(self._images.blobs.get(contents.blob(each)), f"{each.digest}")
            if each.media_type in _INDEXES or "manifests" in row:
                if depth < 4:  # noqa: PLR2004 - nobody nests deeper; a loop would
                    yield from self._images_of(contents, Index.parse(row).manifests, depth + 1)
            elif each.platform != "unknown/unknown":
                manifest = Manifest.parse(row)
                document = self._images.blobs.get(contents.blob(manifest.config))
                yield each, manifest, load(document, "the image's config")

    # --- docker save ----------------------------------------------------------------------

    def _saved(self, contents: Contents, tag: str, platform: str) -> ImageInfo:
        rows = self._rows(contents)
        row = _chosen(rows, tag, contents.name)
        try:
            digest, size = contents.files[row["Config"]]
            blobs = [contents.files[path] for path in row["Layers"]]
        except (KeyError, TypeError) as exc:
            raise ImageError(f"{contents.name}: manifest.json names {exc}, not in it") from exc
        config = load(self._images.blobs.get(digest), "the image's config")
        if not matches_platform(platform_of(config), platform):
            raise ImageError(
                f"{contents.name}: no image for {platform}; it has {platform_of(config)}"
            )
        kind = DOCKER.layers["Uncompressed"]
        descriptors = tuple(Descriptor(kind, blob, length) for blob, length in blobs)
        manifest = Manifest(Descriptor(DOCKER.config, digest, size), descriptors, DOCKER.manifest)
        layers = _layers(contents, descriptors, config)
        own = digest_bytes(manifest.emit())
        return ImageInfo(own, contents.name, platform_of(config), config, layers, "archive")

    def _rows(self, contents: Contents) -> list[dict[str, Any]]:
        document = self._images.blobs.get(contents.files["manifest.json"][0])
        try:
            rows = json.loads(document)
        except ValueError as exc:
            raise ImageError(f"{contents.name}: manifest.json is not JSON: {exc}") from exc
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ImageError(f"{contents.name}: manifest.json is not a list of images")
        return rows

    def _document(self, contents: Contents, path: str) -> dict[str, Any]:
        return load(self._images.blobs.get(contents.files[path][0]), path)


def _target(path: str, target: str, kind: str) -> str:
    """Give the path in the archive that a link names."""
    above = path.rpartition("/")[0] + "/" if kind == "symlink" else ""
    try:
        return "/".join(p.decode() for p in components((above + target).encode()))
    except ImageError:
        return ""


def _layers(
    contents: Contents, found: tuple[Descriptor, ...], config: dict[str, Any]
) -> tuple[Layer, ...]:
    tars = diff_ids(config)
    if len(tars) != len(found):
        raise ImageError(
            f"{contents.name}: the manifest has {len(found)} layers and the config {len(tars)}"
        )
    return tuple(
        Layer(tar, contents.blob(each), each.media_type, each.size)
        for tar, each in zip(tars, found, strict=True)
    )


def _tagged(found: tuple[Descriptor, ...], tag: str, name: str) -> tuple[Descriptor, ...]:
    """Choose by tag; an archive with one name, or none, needs no tag."""
    tags = [{each.annotations[key] for key in _NAMES if key in each.annotations} for each in found]
    if not tag:
        names = {min(known) for known in tags if known}
        if len(names) > 1:
            raise ImageError(f"{name} has several images; choose one: {', '.join(sorted(names))}")
        return found
    chosen = [
        each
        for each, known in zip(found, tags, strict=True)
        if any(full == tag or full.endswith(f":{tag}") for full in known)
    ]
    if not chosen:
        have = ", ".join(sorted(set().union(*tags))) or "none"
        raise ImageError(f"{name} has no image tagged {tag!r}; it has {have}")
    return tuple(chosen)


def _chosen(rows: list[dict[str, Any]], tag: str, name: str) -> dict[str, Any]:
    known = [(row, row.get("RepoTags") or []) for row in rows]
    have = ", ".join(sorted(full for _, tags in known for full in tags)) or "none"
    if tag:
        for row, tags in known:
            if any(full == tag or full.endswith(f":{tag}") for full in tags):
                return row
        raise ImageError(f"{name} has no image tagged {tag!r}; it has {have}")
    if len(rows) != 1:
        raise ImageError(f"{name} has {len(rows)} images; choose one by its tag: {have}")
    return rows[0]
