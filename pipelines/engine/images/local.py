"""The local index of images: which reference is pinned to what.

Layout below `root`
    pins/<hex>.json     an image by its digest: what a `Rootfs` op needs to be run
    refs/<hex>.json     the same document by (reference, platform)
    tags/<hex>.json     the digest that a registry's tag had when it was last asked for
    pulls/<hex>.json    (digest of an index or manifest, platform) -> digest of the image
    silent/<hex>.json   a registry that did not answer, and when
    chains/<hex>        chain id -> layer id of the snapshots
    blobs/sha256/<hex>  layers and documents of archives (`ImageBlobs`)
    layers/<hex>.json   (layer id, form) -> the diff_id and blob that it was packed to

Every file is written beside its name and renamed over it, so a reader sees all or nothing and
two processes end with one of two equal answers. A file that can not be parsed is a miss.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.errors import ContentMissing, StoreError
from pipelines.engine.images.blobs import ImageBlobs, storing
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.tarread import LIMITS, Limits

__all__ = ["Images", "chain_id"]

_SILENCE = 300.0


class Images:
    """The images that this store knows, by reference and by digest.

    `limits` say how large layers and archives may be that are put into it.
    """

    def __init__(self, root: Path, limits: Limits = LIMITS) -> None:
        self.root = root
        self.limits = limits
        self.blobs = ImageBlobs(root)

    def lookup(self, ref: Reference, platform: str) -> ImageInfo | None:
        """Find what a reference is pinned to; a digest in it decides alone."""
        if ref.digest is not None:
            return self.by_digest(ref.digest)
        return _info(self._read("refs", _ref_name(ref, platform)))

    def by_digest(self, digest: str) -> ImageInfo | None:
        """Find an image by its digest."""
        return _info(self._read("pins", Digest.parse(digest).hex + ".json"))

    def put(self, ref: Reference | None, info: ImageInfo) -> None:
        """Keep an image, and pin a reference to it.

        Raises:
            StoreFull: no room. StoreError: the store can not be written.
        """
        row = info.to_json()
        self._write("pins", info.digest.hex + ".json", row)
        if ref is not None and ref.digest is None:
            self._write("refs", _ref_name(ref, info.platform), row)

    def pulled(self, digest: str, platform: str) -> ImageInfo | None:
        """Find the image that an index or manifest of a registry holds for a platform."""
        row = self._read("pulls", digest_json([digest, platform]).hex + ".json")
        info = self.by_digest(str(row.get("image"))) if row else None
        return info if info is not None and info.source == "registry" else None

    def put_pulled(self, digest: str, platform: str, info: ImageInfo) -> None:
        """Keep an image of a registry."""
        self.put(None, info)
        name = digest_json([digest, platform]).hex + ".json"
        self._write("pulls", name, {"image": info.digest})

    def tag(self, ref: Reference) -> Digest | None:
        """Tell what a registry's tag was when it was last asked for."""
        row = self._read("tags", digest_json(str(ref)).hex + ".json")
        try:
            return Digest.parse(row["digest"]) if row else None
        except (KeyError, TypeError, ValueError):
            return None

    def put_tag(self, ref: Reference, digest: Digest) -> None:
        """Remember what a registry's tag is."""
        if self.tag(ref) != digest:
            self._write("tags", digest_json(str(ref)).hex + ".json", {"digest": digest})

    def silent(self, host: str, now: float) -> bool:
        """Tell whether a registry did not answer a short while ago."""
        row = self._read("silent", digest_json(host).hex + ".json")
        since = row.get("since") if row else None
        return isinstance(since, int | float) and 0 <= now - since < _SILENCE

    def put_silent(self, host: str, now: float) -> None:
        """Remember that a registry did not answer."""
        self._write("silent", digest_json(host).hex + ".json", {"since": now})

    def forget(self, ref: Reference, platform: str) -> None:
        """Unpin a reference; the image stays known by its digest."""
        (self.root / "refs" / _ref_name(ref, platform)).unlink(missing_ok=True)

    def images(self) -> Iterator[ImageInfo]:
        """Yield every image that is known, in no particular order."""
        try:
            names = os.listdir(self.root / "pins")
        except FileNotFoundError:
            return
        for name in names:
            if (info := _info(self._read("pins", name))) is not None:
                yield info

    def chain(self, chain: str) -> str | None:
        """Find the snapshot layer that a chain of diff_ids was unpacked to."""
        row = self._read("chains", chain.removeprefix("sha256:"))
        return row.get("layer") if row else None

    def layers(self) -> frozenset[str]:
        """List the snapshot layers that images were unpacked to."""
        try:
            names = os.listdir(self.root / "chains")
        except FileNotFoundError:
            return frozenset()
        rows = [self._read("chains", name) for name in names if not name.startswith(".")]
        return frozenset(str(row["layer"]) for row in rows if row and "layer" in row)

    def put_chain(self, chain: str, layer: str) -> None:
        """Remember the snapshot layer of a chain of diff_ids."""
        self._write("chains", chain.removeprefix("sha256:"), {"layer": layer})

    def local(self, info: ImageInfo, layer: Layer) -> Path:
        """Where the blob of an image's layer is.

        Raises:
            ContentMissing: it is not here any more.
        """
        path = self.blobs.path(layer.blob)
        if not path.exists():
            raise ContentMissing(
                f"image {info.reference}: its layer {layer.blob} is not in the store any more; "
                "import the archive again"
            )
        return path

    def layer(self, layer: str, form: str) -> Mapping[str, Any] | None:
        """Tell what a snapshot layer was packed to; `form` says how: compression and time."""
        return self._read("layers", _layer_name(layer, form))

    def put_layer(self, layer: str, form: str, row: Mapping[str, Any]) -> None:
        """Remember a snapshot layer's blob."""
        self._write("layers", _layer_name(layer, form), row)

    def _read(self, kind: str, name: str) -> dict[str, Any] | None:
        try:
            with open(f"{self.root}/{kind}/{name}", "rb") as file:
                row = json.load(file)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as exc:
            raise StoreError(f"reading {self.root}/{kind}/{name}: {exc.strerror}") from exc
        return row if isinstance(row, dict) else None

    def _write(self, kind: str, name: str, row: Mapping[str, Any]) -> None:
        at = self.root / kind
        with storing(f"writing {at / name}"):
            at.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=at)
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(row, file, sort_keys=True)
                os.rename(temporary, at / name)
            except BaseException:
                os.unlink(temporary)
                raise


def _ref_name(ref: Reference, platform: str) -> str:
    return digest_json([str(ref), platform]).hex + ".json"


def _layer_name(layer: str, form: str) -> str:
    return digest_json([layer, form]).hex + ".json"


def _info(row: dict[str, Any] | None) -> ImageInfo | None:
    if row is None:
        return None
    try:
        return ImageInfo.of_json(row)
    except (KeyError, TypeError, ValueError):
        return None


def chain_id(diff_ids: tuple[str, ...]) -> str:
    """Name a stack of diff_ids. Source: OCI image-spec config.md, "Layer ChainID"."""
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
    return chain
