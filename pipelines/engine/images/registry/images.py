"""References become images: tag → digest → manifest → config, every byte of them verified.

Theory of operation
    1. A tag is asked for its digest once a session, with HEAD. What it was is remembered in
       the store, for when the registry does not answer, fails or limits: then that is used,
       and said, once. A registry that fails does not decide whether a pipeline does.
    2. A digest names a document. Documents are kept as blobs of the store, so a known digest
       needs no request at all; a new one is fetched and digested before anybody reads it.
    3. An index is asked for the platform, down to a manifest; its config is fetched. Layers are
       not: `blobs` gets them when a root filesystem is really needed.

Sizes are limited before they are read. Source: OCI distribution-spec "Pulling manifests".
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from pipelines.engine.digest import Digest, digest_bytes
from pipelines.engine.errors import (
    ImageError,
    RegistryError,
    RegistryMismatch,
    RegistryUnreachable,
)
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images
from pipelines.engine.images.model import (
    DOCKER,
    OCI,
    Descriptor,
    Index,
    Manifest,
    best_platform,
    diff_ids,
    load,
    platform_of,
)
from pipelines.engine.images.reference import Reference, pinned_name
from pipelines.engine.images.registry.client import Repository
from pipelines.engine.images.registry.retry import Patience, is_temporary
from pipelines.engine.images.registry.transport import Response

__all__ = ["RegistryImages"]

_INDEXES = (OCI.index, DOCKER.index)
_MANIFESTS = (OCI.manifest, DOCKER.manifest)
_ACCEPT = ", ".join((*_MANIFESTS, *_INDEXES))
_LONGEST_MANIFEST, _LONGEST_CONFIG = 4 << 20, 16 << 20
_PIECE = 1 << 18
_DEPTH = 4
_NO_HEAD = (405, 501)
_LAYERS = ("tar", "tar+gzip", "tar.gzip", "tar+zstd", "tar.zstd")


class Asks(Protocol):
    """What asks registries: `client.Client`."""

    def request(
        self,
        repository: Repository,
        method: str,
        path: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        patience: Patience | None = None,
    ) -> Response:
        """Ask; errors are raised."""
        ...


class RegistryImages:
    """The images of registries; one per session, safe for threads."""

    def __init__(
        self,
        client: Asks,
        images: Images,
        warn: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._client = client
        self._patience = patience or Patience()
        self._images = images
        self._warn = warn
        self._tags: dict[str, Digest] = {}
        self._busy: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, ref: Reference, platform: str, *, quick: bool = False) -> ImageInfo:
        """Pin a reference for a platform; `quick` does not wait for who is not there.

        Raises:
            RegistryUnreachable: nobody answers, and the store does not know.
            RegistryError: there is none, or none for this platform, or it is no image.
        """
        with self._alone(str(ref)):
            digest = self.pin(ref, replace(self._patience, quick=True) if quick else None)
        known = self._images.pulled(digest, platform)
        if known is not None:
            return known.named(pinned_name(ref, digest))
        found, manifest, config = self._image(ref, digest, platform)
        layers = _layers(ref, manifest, config)
        spelled = pinned_name(ref, digest)
        info = ImageInfo(found, spelled, platform, config, layers, "registry")
        self._images.put_pulled(digest, platform, info)
        return info

    def pin(self, ref: Reference, patience: Patience | None = None) -> Digest:
        """Give the digest that a tag has in this session."""
        if ref.digest is not None:
            return ref.digest
        known = self._tags.get(str(ref))
        if known is None:
            known = self._tags[str(ref)] = self._ask_or_remember(ref, patience)
        return known

    def _alone(self, name: str) -> threading.Lock:
        with self._lock:
            return self._busy.setdefault(name, threading.Lock())

    def _ask_or_remember(self, ref: Reference, patience: Patience | None) -> Digest:
        try:
            digest = self.ask(ref, patience)
        except RegistryError as exc:
            passing = isinstance(exc, RegistryUnreachable) or is_temporary(exc.status)
            before = self._images.tag(ref) if passing else None
            if before is None:
                raise
            self._warn(
                f"{ref}: {exc}. Going on with what it was when it was last asked for: {before}"
            )
            return before
        self._images.put_tag(ref, digest)
        return digest

    def ask(self, ref: Reference, patience: Patience | None = None) -> Digest:
        """Ask a registry what a tag is; one that does not tell is asked for all of it."""
        path = f"manifests/{ref.tag}"
        headers = {"accept": _ACCEPT}
        where = Repository(ref.host, ref.name)
        with self._client.request(
            where, "HEAD", path, headers=headers, patience=patience, accept=_NO_HEAD
        ) as answer:
            told = answer.headers.get("docker-content-digest", "")
        if told:
            try:
                return Digest.parse(told)
            except ValueError:
                pass  # a digest of another kind than ours
        with self._client.request(where, "GET", path, headers=headers) as answer:
            document = _read(answer, _LONGEST_MANIFEST, f"the manifest of {ref}")
        return self._images.blobs.put(document)

    # --- documents ------------------------------------------------------------------------

    def _image(
        self, ref: Reference, digest: Digest, platform: str
    ) -> tuple[Digest, Manifest, dict[str, Any]]:
        """Walk down to the manifest for a platform and its config."""
        for _ in range(_DEPTH):
            row = load(self._manifest(ref, digest), f"the manifest {digest} of {ref}")
            if not _is_index(row):
                manifest = _manifest(ref, row)
                config = self._config(ref, manifest)
                _check_platform(ref, platform_of(config), platform)
                return digest, manifest, config
            digest = _choose(ref, Index.parse(row), platform).digest
        raise RegistryError(f"image {ref}: indexes in indexes, more than {_DEPTH} deep")

    def _manifest(self, ref: Reference, digest: Digest) -> bytes:
        what = f"the manifest {digest} of {ref}"
        headers = {"accept": _ACCEPT}
        return self._document(ref, f"manifests/{digest}", digest, _LONGEST_MANIFEST, what, headers)

    def _config(self, ref: Reference, manifest: Manifest) -> dict[str, Any]:
        digest, size = manifest.config.digest, manifest.config.size
        what = f"the config {digest} of {ref}"
        if size > _LONGEST_CONFIG:
            raise RegistryError(f"{what} has {size} bytes, more than {_LONGEST_CONFIG}")
        return load(self._document(ref, f"blobs/{digest}", digest, size, what), what)

    def _document(  # noqa: PLR0917
        self,
        ref: Reference,
        path: str,
        digest: Digest,
        limit: int,
        what: str,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Give a document by its digest: from the store, or fetched, verified and kept."""
        blobs = self._images.blobs
        if blobs.has(digest):
            found = blobs.get(digest)
            if digest_bytes(found) == digest:
                return found
            blobs.remove(digest)
        where = Repository(ref.host, ref.name)
        with self._client.request(where, "GET", path, headers=headers) as answer:
            document = _read(answer, limit, what)
        if (seen := digest_bytes(document)) != digest:
            raise RegistryMismatch(
                f"{what}: the registry sent {len(document)} bytes that digest to {seen}; "
                "it, or a proxy or mirror before it, is damaged. Nothing was kept"
            )
        blobs.put(document)
        return document


def _read(answer: Response, limit: int, what: str) -> bytes:
    """Read a small body whole; a longer one than allowed is not read to its end."""
    pieces, size = [], 0
    while piece := answer.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise RegistryMismatch(f"{what} is longer than {limit} bytes")
    return b"".join(pieces)


def _is_index(row: Mapping[str, Any]) -> bool:
    return row.get("mediaType") in _INDEXES or ("manifests" in row and "config" not in row)


def _manifest(ref: Reference, row: Mapping[str, Any]) -> Manifest:
    """Read a manifest, telling apart the kinds that are no image."""
    kind = str(row.get("mediaType") or "")
    if row.get("schemaVersion") == 1:
        raise RegistryError(
            f"image {ref}: its manifest is of Docker's schema 1, which is obsolete; push the "
            "image again with a tool of this decade"
        )
    if kind and kind not in _MANIFESTS:
        raise RegistryError(
            f"image {ref}: its manifest is of type {kind[:200]!r}, which is no image that is known "
            f"here ({', '.join((*_MANIFESTS, *_INDEXES))})"
        )
    if "config" not in row:
        raise RegistryError(f"image {ref}: its manifest is none: it has neither config nor type")
    manifest = Manifest.parse(row)
    if manifest.config.media_type not in {OCI.config, DOCKER.config, ""}:
        raise RegistryError(
            f"image {ref}: this is no container image but an artifact of type "
            f"{manifest.config.media_type[:200]!r}"
        )
    return manifest


def _choose(ref: Reference, index: Index, platform: str) -> Descriptor:
    found = best_platform(index.manifests, platform)
    if found is None:
        raise RegistryError(_no_platform(ref, platform, {d.platform for d in index.manifests}))
    return found


def _check_platform(ref: Reference, found: str, platform: str) -> None:
    """Refuse an image of another platform; one that names none is taken at its word."""
    if found.endswith("/unknown"):
        return
    if best_platform((Descriptor("", Digest(""), 0, found),), platform) is None:
        raise RegistryError(_no_platform(ref, platform, {found}))


def _no_platform(ref: Reference, platform: str, have: set[str]) -> str:
    names = ", ".join(sorted(have - {"", "unknown/unknown"})) or "none that names a platform"
    return f"image {ref}: no image for {platform}; it has {names}"


def _layers(ref: Reference, manifest: Manifest, config: dict[str, Any]) -> tuple[Layer, ...]:
    try:
        tars = diff_ids(config)
    except ImageError as exc:
        raise RegistryError(f"image {ref}: {exc}") from exc
    if len(tars) != len(manifest.layers):
        raise RegistryError(
            f"image {ref}: the manifest has {len(manifest.layers)} layers and the config "
            f"{len(tars)}; the image is damaged, push it again"
        )
    for each in manifest.layers:
        if not each.media_type.endswith(_LAYERS):
            raise RegistryError(
                f"image {ref}: a layer is of type {each.media_type[:200]!r}; only tar, gzip and "
                "zstd layers can be unpacked"
            )
    return tuple(
        Layer(tar, each.digest, each.media_type, each.size)
        for tar, each in zip(tars, manifest.layers, strict=True)
    )
